package api

import (
	"context"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/problemjson"
)

// problem is why a request is not answered as its client wished.
type problem struct {
	status         int
	reason, detail string
}

// Error implements error.
func (p *problem) Error() string { return p.reason + ": " + p.detail }

func invalid(format string, args ...any) error {
	return &problem{http.StatusBadRequest, "BAD_REQUEST", fmt.Sprintf(format, args...)}
}

func missing(detail string) error { return &problem{http.StatusNotFound, "NOT_FOUND", detail} }

// refuse answers with a problem. What is none is a failure of something behind, of which the client
// is told no more.
func (a *API) refuse(w *recorder, r *http.Request, id string, err error) {
	var p *problem
	if !errors.As(err, &p) {
		p = &problem{http.StatusServiceUnavailable, "DEPENDENCY_UNAVAILABLE", "something that billing needs does not answer now: try again"}
		w.Header().Set("Retry-After", "1")
		if !errors.Is(err, context.Canceled) || r.Context().Err() == nil {
			logger.Errorf("%s %s, request %s: %s", r.Method, r.URL.Path, id, err)
		}
	}
	if p.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="pin-billing"`)
	}
	w.Header().Del("Content-Disposition")
	a.said(problemjson.Problem{Program: "pin-billing", Status: p.status, Reason: p.reason, Detail: p.detail, ID: id}.Write(w))
}

// said logs that a client was not answered, who may have left.
func (a *API) said(err error) {
	switch {
	case errors.Is(err, problemjson.ErrEncoding):
		logger.Error(err)
	case err != nil:
		logger.Debug(err)
	}
}

func (a *API) json(w http.ResponseWriter, value any) {
	a.said(problemjson.WriteJSON(w, http.StatusOK, "application/json", value))
}

// page is one of a list. Without next it is the last one.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// list answers with a page, as JSON or as CSV. Cells that are texts are no formulas.
func list[T any](a *API, w http.ResponseWriter, c *call, p page[T], header []string, row func(T) []any) error {
	if p.Items == nil {
		p.Items = []T{}
	}
	if p.Next != "" {
		w.Header().Set("Next-Cursor", p.Next)
	}
	asCSV, err := c.csv()
	if err != nil {
		return err
	}
	if !asCSV {
		a.json(w, p)
		return nil
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="billing.csv"`)
	out := csv.NewWriter(w)
	out.UseCRLF = true    // RFC 4180
	_ = out.Write(header) // Flush keeps the error
	for _, item := range p.Items {
		var cells []string
		for _, value := range row(item) {
			cells = append(cells, cell(value))
		}
		_ = out.Write(cells)
	}
	out.Flush()
	a.said(out.Error())
	return nil
}

// cell is a value as CSV has it. Numbers, times and truths are ours; texts are anybody's.
func cell(value any) string {
	switch v := value.(type) {
	case string:
		return invoice.Cell(v)
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(value)
}

// csv tells whether a client wants a table.
func (c *call) csv() (bool, error) {
	switch format := c.query.Get("format"); format {
	case "csv":
		return true, nil
	case "json":
		return false, nil
	case "":
		return strings.HasPrefix(c.Header.Get("Accept"), "text/csv"), nil
	default:
		return false, invalid("format %.100q is unknown: use json or csv", format)
	}
}

// known refuses parameters that a path does not have: a mistake in one would answer something else.
func (c *call) known(names ...string) error {
	for name := range c.query {
		ok := false
		for _, n := range names {
			ok = ok || n == name
		}
		if !ok {
			if len(names) == 0 {
				return invalid("%.100q is no parameter, of which there are none here: remove it", name)
			}
			return invalid("%.100q is no parameter: use %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

// limit reads how many items a page has.
func (c *call) limit(standard, most int) (int, error) {
	text := c.query.Get("limit")
	if text == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, invalid("limit %.100q cannot be used: use 1 to %d", text, most)
	}
	return n, nil
}

// day reads a day, in days since 1970.
func (c *call) day(name string, standard int64) (int64, error) {
	text := c.query.Get(name)
	if text == "" {
		return standard, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 1970 {
		return 0, invalid("%s %.100q is not a day: write it as 2026-12-01", name, text)
	}
	return usage.DayOf(t.UnixMilli()), nil
}

// cursorOf is a place in a list of a kind, for the next request. Two lists have no cursor in common.
func cursorOf(kind string, parts ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(append([]string{kind}, parts...), "\x00")))
}

// cursor reads the place that was handed out, nil for the beginning.
func (c *call) cursor(kind string, parts int) ([]string, error) {
	text := c.query.Get("cursor")
	if text == "" {
		return nil, nil
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	all := strings.Split(string(decoded), "\x00")
	if err != nil || all[0] != kind || len(all) != parts+1 {
		return nil, errCursor()
	}
	return all[1:], nil
}

func errCursor() error {
	return invalid("the cursor is none of this list: use the one that a page came with, and the same parameters")
}

// whole is a number that may be large, as a text.
func whole(n *big.Int) string {
	if n == nil {
		return "0"
	}
	return n.String()
}

// dateOf is a day as text.
func dateOf(day int64) string { return time.UnixMilli(day * usage.DayMS).UTC().Format(time.DateOnly) }
