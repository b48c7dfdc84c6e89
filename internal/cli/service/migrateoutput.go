package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cheggaaa/pb/v3"
	"github.com/urfave/cli"
	"go.uber.org/multierr"
	"golang.org/x/term"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
)

const (
	// barEvery, lineEvery and jsonEvery are how often progress is shown.
	barEvery  = 200 * time.Millisecond
	lineEvery = 10 * time.Second
	jsonEvery = time.Second
	// firstETA is how long a rate is measured before it is used to tell how
	// long the rest takes.
	firstETA = 2 * time.Second
)

// migrationOutput shows progress and results: a bar where stderr is a terminal,
// otherwise lines on stderr, and JSON on stdout when that is asked for.
type migrationOutput struct {
	stdout, stderr io.Writer
	json           bool
	terminal       bool
	bar            *pb.ProgressBar
	shown          migrate.Progress
	last           time.Time
	failed         error // the first of writing JSON
}

func newMigrationOutput(stdout, stderr io.Writer, asJSON bool) *migrationOutput {
	file, isFile := stderr.(*os.File)
	return &migrationOutput{
		stdout: stdout, stderr: stderr, json: asJSON,
		terminal: isFile && term.IsTerminal(int(file.Fd())) && !asJSON,
	}
}

// progress shows how far the work has come. It is called often.
func (o *migrationOutput) progress(p migrate.Progress) {
	begins := p.Phase != o.shown.Phase
	ends := p.Done == p.Total && o.shown.Done != p.Done
	every := lineEvery
	switch {
	case o.terminal:
		every = barEvery
	case o.json:
		every = jsonEvery
	}
	now := time.Now()
	if !begins && !ends && now.Sub(o.last) < every {
		return
	}
	o.shown, o.last = p, now
	switch {
	case o.json:
		o.writeJSON("progress", p)
	case o.terminal:
		o.showBar(p, begins)
	case !begins:
		fmt.Fprintln(o.stderr, progressLine(p))
	}
}

// barTemplate has the parts of a line of the bar; the library computes none of
// the times, as work that goes on has not begun at zero.
const barTemplate pb.ProgressBarTemplate = `{{string . "phase"}} {{counters . }} {{bar . }} {{percent . }} {{string . "rest"}}`

func (o *migrationOutput) showBar(p migrate.Progress, begins bool) {
	if begins {
		o.close()
		o.bar = barTemplate.New(0).SetWriter(o.stderr).SetRefreshRate(barEvery).Start()
	}
	if o.bar == nil {
		return
	}
	o.bar.Set("phase", string(p.Phase)).Set("rest", rateText(p)).SetTotal(max(p.Total, 0)).SetCurrent(p.Done)
}

// close ends the bar.
func (o *migrationOutput) close() {
	if o.bar != nil {
		o.bar.Finish()
		o.bar = nil
	}
}

// progressLine is one line for where there is no terminal.
func progressLine(p migrate.Progress) string {
	text := fmt.Sprintf("%s: %d", p.Phase, p.Done)
	if p.Total > 0 {
		text += fmt.Sprintf(" of %d (%d %%)", p.Total, p.Done*100/p.Total)
	}
	return text + ", " + rateText(p)
}

// rateText says how fast the work is and when it will be done.
func rateText(p migrate.Progress) string {
	text := fmt.Sprintf("%.0f a second", p.Rate)
	if left := p.Total - p.Done; p.Total >= 0 && left > 0 && p.Rate > 0 && p.Elapsed >= firstETA {
		text += fmt.Sprintf(", %s left", time.Duration(float64(left)/p.Rate*float64(time.Second)).Round(time.Second))
	}
	if p.Bad > 0 {
		text += fmt.Sprintf(", %d cannot be read", p.Bad)
	}
	return text
}

// printf writes to stdout, unless that is for JSON.
func (o *migrationOutput) printf(format string, args ...any) {
	o.close()
	if !o.json {
		fmt.Fprintf(o.stdout, format, args...)
	}
}

// warn says what the user should know before the work.
func (o *migrationOutput) warn(warnings []string) {
	o.close()
	for _, text := range warnings {
		if o.json {
			o.writeJSON("warning", text)
		} else {
			fmt.Fprintf(o.stderr, "warning: %s\n", text)
		}
	}
}

// result writes what a command has found: JSON where that is asked for, and to
// the file of --report. Its error may also be that of something which could not be
// written to stdout before.
func (o *migrationOutput) result(kind, reportPath string, value any) error {
	if o.json {
		o.writeJSON(kind, value)
	}
	if reportPath == "" {
		return o.failed
	}
	err := writeWhole(reportPath, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(value)
	})
	if err != nil {
		err = fmt.Errorf("writing the report: %w", err)
	}
	return multierr.Append(o.failed, err)
}

// writeJSON writes one object on one line, whose only key says what it is. It
// remembers the first error, for result: the work goes on until its end.
func (o *migrationOutput) writeJSON(kind string, value any) {
	err := json.NewEncoder(o.stdout).Encode(map[string]any{kind: value})
	if err != nil && o.failed == nil {
		o.failed = fmt.Errorf("writing JSON to stdout: %w", err)
	}
}

// checkReport returns an error when the report could not be written, or would take
// the place of the pins.
func checkReport(c *cli.Context) error {
	path := c.String("report")
	pins := c.String("file")
	if from, isExport := strings.CutPrefix(c.String("from"), "export:"); isExport {
		pins = from
	}
	if path != "" && sameFile(path, pins) {
		return fmt.Errorf("%s is the file with the pins: name another one", path)
	}
	return checkWritable(path)
}

// sameFile reports whether two names are of one file, which may not be there yet.
func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return os.SameFile(infoA, infoB)
	}
	return filepath.Clean(a) == filepath.Clean(b)
}

// checkWritable returns an error when a report could not be written, before hours of
// work.
func checkWritable(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tryFolder(path)
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder: name a file", path)
	case info.Mode().IsRegular():
		return tryFolder(path)
	case info.Mode()&fs.ModeNamedPipe != 0:
		return nil // who reads it would take the end of the trial for that of the report
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// tryFolder writes a block beside path, where writeWhole makes its file. On a full
// disk an empty file could be made.
func tryFolder(path string) (err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { err = multierr.Append(err, os.Remove(f.Name())) }()
	_, err = f.Write(make([]byte, 1<<12))
	return multierr.Combine(err, f.Sync(), f.Close())
}
