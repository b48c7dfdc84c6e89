package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"
)

// report is the result of a run; as JSON it is bench/out/latest.json.
type report struct {
	Engine      string    `json:"engine"`
	Started     time.Time `json:"started"`
	TookSeconds float64   `json:"took_seconds"`
	CPUs        int       `json:"cpus"`
	Go          string    `json:"go"`
	Quick       bool      `json:"quick"`
	Settings    settings  `json:"settings"`
	Tables      []table   `json:"tables"`
}

// table compares two sides.
type table struct {
	Title string `json:"title"`
	Note  string `json:"note"`
	Left  string `json:"left"`
	Right string `json:"right"`
	Rows  []row  `json:"rows"`
}

// row is one thing that was measured on both sides, once per round.
type row struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Values [2]series `json:"values"` // left, right
	// RatioOfMedians is left/right.
	RatioOfMedians float64 `json:"ratio_of_medians"`
}

// series are the values of one side with their median.
type series struct {
	Median float64   `json:"median"`
	Rounds []float64 `json:"rounds"`
}

// add adds the value of one side, 0 or 1.
func (r *row) add(side int, value float64) {
	s := &r.Values[side]
	s.Rounds = append(s.Rounds, value)
	s.Median = median(s.Rounds)
	r.RatioOfMedians = ratio(r.Values[0].Median, r.Values[1].Median)
}

// lastPair shows the newest value of both sides.
func (r *row) lastPair() string {
	last := func(side int) string {
		rounds := r.Values[side].Rounds
		return number(rounds[len(rounds)-1])
	}
	return fmt.Sprintf("%s and %s %s", last(0), last(1), r.Unit)
}

// save writes the report as JSON.
func (r *report) save(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("making the folder of the report: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// print writes the report as tables for people.
func (r *report) print(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	width := 0
	for _, t := range r.Tables {
		for _, row := range t.Rows {
			width = max(width, len(row.Name))
		}
	}
	fmt.Fprintf(w, "\n%s, %d processors shared by server and clients, %s, took %s\n",
		r.Engine, r.CPUs, r.Go, time.Duration(r.TookSeconds*float64(time.Second)).Round(time.Second))
	if r.Quick {
		fmt.Fprintln(w, "QUICK RUN: the sizes are too small for these figures to mean anything.")
	}
	for _, t := range r.Tables {
		fmt.Fprintf(w, "\n%s\n%s\n", t.Title, t.Note)
		fmt.Fprintf(out, "%-*s\t%s\t%s\t\tratio\thalf of the rounds\t\n", width, "", t.Left, t.Right)
		for _, row := range t.Rows {
			fmt.Fprintf(out, "%-*s\t%s\t%s\t%s\t%.2f\t%s\t\n", width, row.Name,
				number(row.Values[0].Median), number(row.Values[1].Median), row.Unit, row.RatioOfMedians, row.spread())
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("printing the report: %w", err)
		}
	}
	return nil
}

// spread shows the ratios that were found in half of the rounds.
func (r *row) spread() string {
	of := ratios(r.Values[0].Rounds, r.Values[1].Rounds)
	if len(of) < 2 {
		return "one round"
	}
	low, high := middleHalf(of)
	return fmt.Sprintf("%.2f to %.2f", low, high)
}

// number prints a value with three digits, or more when it is large.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}
