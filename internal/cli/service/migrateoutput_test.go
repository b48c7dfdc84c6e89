package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cheggaaa/pb/v3"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestReportIsTriedFirst: a file that cannot take the report is refused at the
// beginning, and trying leaves everything as it is.
func TestReportIsTriedFirst(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	names := func() string {
		found, err := filepath.Glob(in("*"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(found, " ")
	}
	writeFile(t, in("report"), "old")
	writeFile(t, in("report.test"), "of the user")
	if err := syscall.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", in("socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	before := names()
	for path, want := range map[string]string{
		"":                   "",
		in("new"):            "",
		in("report"):         "",
		"/dev/null":          "",
		dir:                  dir + " is a folder: name a file",
		in("socket"):         "no such device or address",
		in("nothing/report"): "no such file or directory",
		in("nothing") + "/":  "no such file or directory",
		in("report/report"):  "not a directory",
	} {
		err := checkWritable(path)
		if got := errorText(err); !strings.Contains(got, want) || (err == nil) != (want == "") {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
	tried := make(chan error, 1)
	go func() { tried <- checkWritable(in("pipe")) }()
	select {
	case err := <-tried:
		if err != nil {
			t.Errorf("a pipe: %v", err)
		}
	case <-time.After(patience):
		t.Error("trying waits for a reader of the pipe")
	}
	if names() != before || readFile(t, in("report")) != "old" || readFile(t, in("report.test")) != "of the user" {
		t.Errorf("trying has changed files: %s, before %s", names(), before)
	}

	folder := withoutDatabase(t)
	for _, args := range [][]string{{"plan", "--from", "export:x"}, {"run", "--from", "export:x"}, {"verify", "--from", "export:x"}, {"rollback", "--file", in("back")}} {
		checkRefused(t, run(t, folder, "", append(append([]string{"migrate"}, args...), "--report", dir)...),
			"trying whether --report can be written: "+dir+" is a folder: name a file")
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// ends are the ends of the commands that have a report, each with a difference, and
// what their text has.
func ends(t *testing.T) map[string]func(o *migrationOutput, reportPath string) error {
	t.Helper()
	return map[string]func(o *migrationOutput, reportPath string) error{
		"12 of them in the past": func(o *migrationOutput, path string) error {
			return o.planned(newPlanResult(&migrate.Plan{Expired: 12, Refused: "x"}, nil), path)
		},
		"12 pins copied so far": func(o *migrationOutput, path string) error {
			return o.ran(&migrate.Report{Copied: 12, Bad: 1}, path, nil)
		},
		"12 pins are missing": func(o *migrationOutput, path string) error {
			failed := o.compared(&migrate.Comparison{Missing: 12, MissingPins: []migrate.Difference{{Cid: "x"}}}, path)
			return differs(failed, "they differ")
		},
	}
}

// TestResultSurvivesItsReport: a disk that has filled up meanwhile takes nothing
// from what is shown. The command has failed then.
func TestResultSurvivesItsReport(t *testing.T) {
	for want, end := range ends(t) {
		for _, asJSON := range []bool{false, true} {
			var stdout, stderr bytes.Buffer
			err := end(newMigrationOutput(&stdout, &stderr, asJSON), "/dev/full")
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "writing the report: ") || errors.As(err, new(cli.ExitCoder)) {
				t.Errorf("%s: the error is %v, want that of the report and exit code 1", want, err)
			}
			if asJSON {
				want = `:12`
			}
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("nothing says %q:\n%s", want, &stdout)
			}
		}
	}
	failure := errors.New("the database is down")
	err := newMigrationOutput(io.Discard, io.Discard, false).ran(&migrate.Report{}, "/dev/full", failure)
	if !errors.Is(err, failure) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the error is %v, want that of the run and that of the report", err)
	}
}

// TestDifferencesHaveAnExitCode of their own, when they could be told.
func TestDifferencesHaveAnExitCode(t *testing.T) {
	for name, end := range ends(t) {
		err := end(newMigrationOutput(io.Discard, io.Discard, false), "")
		var coded cli.ExitCoder
		if !errors.As(err, &coded) || coded.ExitCode() != exitDiffers {
			t.Errorf("%s: the error is %v, want exit code %d", name, err, exitDiffers)
		}
	}
}

// TestJSONThatCannotBeWritten: machines must not take a part for the whole.
func TestJSONThatCannotBeWritten(t *testing.T) {
	for name, end := range ends(t) {
		err := end(newMigrationOutput(&failingWriter{err: syscall.ENOSPC}, io.Discard, true), "")
		if !errors.Is(err, syscall.ENOSPC) || errors.As(err, new(cli.ExitCoder)) {
			t.Errorf("%s: the error is %v, want that of stdout and exit code 1", name, err)
		}
	}
	// One line is missing in the middle.
	stdout := &failingWriter{err: syscall.ENOSPC}
	o := newMigrationOutput(stdout, io.Discard, true)
	o.progress(migrate.Progress{Phase: migrate.PhaseCopying})
	stdout.left = 1 << 20
	if err := o.ran(&migrate.Report{}, "", nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the error is %v, want that of stdout", err)
	}
}

// TestWarningsComeFirst: they are shown once, and before the database is asked,
// which may take long, or refuse the run.
func TestWarningsComeFirst(t *testing.T) {
	folder := withoutDatabase(t)
	const from = "rest:http://127.0.0.1:1" // it has a warning, and is not asked yet
	const warning = "a running cluster goes on changing"
	for _, command := range []string{"plan", "run", "verify"} {
		got := run(t, folder, "", "migrate", command, "--from", from)
		first, rest, _ := strings.Cut(got.stderr, "\n")
		if got.code != 1 || !strings.HasPrefix(first, "warning: "+warning) || !strings.HasPrefix(rest, "error opening the pinset: ") {
			t.Errorf("%s: exit code %d, stderr\n%swant a warning, then that the database is not there", command, got.code, got.stderr)
		}
		got = run(t, folder, "", "migrate", command, "--from", from, "--json")
		var object map[string]string
		if err := json.Unmarshal([]byte(got.stdout), &object); err != nil || !strings.HasPrefix(object["warning"], warning) {
			t.Errorf("%s --json writes %q (%v), want a warning", command, got.stdout, err)
		}
		if strings.Contains(got.stderr, warning) {
			t.Errorf("%s --json writes the warning to stderr as well", command)
		}
	}

	var stdout bytes.Buffer
	o := newMigrationOutput(&stdout, io.Discard, false)
	warnings := []string{warning}
	o.printPlan(newPlanResult(&migrate.Plan{Warnings: warnings}, nil))
	o.printReport(&migrate.Report{Warnings: warnings})
	o.printComparison(&migrate.Comparison{Warnings: warnings})
	if strings.Contains(stdout.String(), warning) {
		t.Errorf("the warning is repeated:\n%s", &stdout)
	}
}

// TestPlanNamesKnownPeers, by the name that each will have.
func TestPlanNamesKnownPeers(t *testing.T) {
	there, old, now, stranger := statetest.Peer("there"), statetest.Peer("old"), statetest.Peer("now"), statetest.Peer("stranger")
	plan := newPlanResult(&migrate.Plan{Peers: []migrate.PlanPeer{{ID: there, Pins: 3}, {ID: old, Pins: 2, Mapped: now}, {ID: stranger, Pins: 1}}},
		[]state.Member{{ID: there, Name: "one"}, {ID: now, Name: "two"}})
	var stdout bytes.Buffer
	newMigrationOutput(&stdout, io.Discard, false).printPlan(plan)
	for _, want := range []string{
		"3  " + there.String() + ` (known as "one")`,
		"2  " + old.String() + " becomes " + now.String() + ` (known as "two")`,
		"1  " + stranger.String() + " (has not run on this database yet)",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("nothing says %q:\n%s", want, &stdout)
		}
	}

	stdout.Reset()
	if err := newMigrationOutput(&stdout, io.Discard, true).planned(plan, ""); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Plan struct {
			Peers []map[string]any
			Types *map[string]int64
		}
	}
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"true one", "true two", "false <nil>"} {
		p := got.Plan.Peers[i]
		if text := fmt.Sprint(p["known"], " ", p["name"]); text != want || p["id"] != plan.Plan.Peers[i].ID.String() || p["pins"] != float64(3-i) {
			t.Errorf("peer %d is %v, want %s", i, p, want)
		}
	}
	stdout.Reset()
	if err := newMigrationOutput(&stdout, io.Discard, true).planned(newPlanResult(&migrate.Plan{}, nil), ""); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stdout.String(), `"peers":[]`) {
		t.Errorf("no peers are %s, want an empty list", &stdout)
	}
}

// TestReportText: what was not done is not told as done.
func TestReportText(t *testing.T) {
	for want, report := range map[string]migrate.Report{
		", written in bulk\n":                                                  {Bulk: true},
		", would be written in bulk\n":                                         {Bulk: true, DryRun: true},
		", would be written with conditions\n":                                 {DryRun: true},
		"7 pins of the source differ from those in the database and were left": {Kept: 9, Different: 7},
	} {
		var stdout bytes.Buffer
		newMigrationOutput(&stdout, io.Discard, false).printReport(&report)
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("nothing says %q:\n%s", want, &stdout)
		}
	}
}

// TestProgressBar: what a terminal shows.
func TestProgressBar(t *testing.T) {
	screen := &lockedBuffer{} // the bar has a goroutine that writes
	o := newMigrationOutput(io.Discard, screen, false)
	o.terminal = true
	shows := func(want string, p migrate.Progress) {
		t.Helper()
		o.last = o.last.Add(-barEvery)
		o.progress(p)
		if got := o.bar.SetWidth(70).String(); got != want {
			t.Errorf("it shows\n%q want\n%q", got, want)
		}
	}
	shows("copying 0 / 1000 [__________________________________] 0.00% 0 a second", migrate.Progress{Phase: migrate.PhaseCopying, Total: 1000})
	shows("copying 500 / 1000 [>_] 50.00% 50 a second, 10s left, 2 cannot be read",
		migrate.Progress{Phase: migrate.PhaseCopying, Done: 500, Total: 1000, Bad: 2, Rate: 50, Elapsed: 4 * time.Second})
	copying := o.bar.Set(pb.ReturnSymbol, "\r").Set(pb.Terminal, true)
	shows("sweeping 7 [___________________________________________] ?% 3 a second", migrate.Progress{Phase: migrate.PhaseSweeping, Done: 7, Total: -1, Rate: 3})
	if !copying.IsFinished() || !strings.HasSuffix(screen.String(), "\n") {
		t.Errorf("the next phase writes over the last one:\n%q", screen)
	}
	o.printf("results\n")
	if o.bar != nil {
		t.Error("the bar goes on below the results")
	}
}

// A report does not take the place of the pins.
func TestReportIsNotTheFileWithThePins(t *testing.T) {
	dir := t.TempDir()
	pins, link := filepath.Join(dir, "pins"), filepath.Join(dir, "link")
	writeFile(t, pins, "{}\n")
	if err := os.Symlink(pins, link); err != nil {
		t.Fatal(err)
	}
	folder := withoutDatabase(t)
	for _, test := range []struct{ command, flag, file, report string }{
		{"plan", "--from", "export:" + pins, pins},
		{"run", "--from", "export:" + pins, link},
		{"verify", "--from", "export:" + link, pins},
		{"rollback", "--file", pins, link},
		{"rollback", "--file", filepath.Join(dir, "new"), filepath.Join(dir, "new")},
	} {
		got := run(t, folder, "", "migrate", test.command, test.flag, test.file, "--report", test.report)
		checkRefused(t, got, "trying whether --report can be written: "+test.report+" is the file with the pins: name another one")
	}
	if text := readFile(t, pins); text != "{}\n" {
		t.Errorf("the pins are %q now", text)
	}
}

// TestLargePinsAreNamed by every command, with sizes and the bound, and the exit
// code is that of records which cannot be read.
func TestLargePinsAreNamed(t *testing.T) {
	large := []migrate.LargePin{{Cid: "Qm1", Bytes: 300}, {Cid: "Qm2", Bytes: 400}}
	for name, end := range map[string]func(o *migrationOutput) error{
		"planning the migration: 7 pins of the source are too large": func(o *migrationOutput) error {
			return o.planned(newPlanResult(&migrate.Plan{TooLarge: 7, TooLargePins: large, MaxPinBytes: 200}, nil), "")
		},
		"planning the migration: a run would be refused: x": func(o *migrationOutput) error {
			return o.planned(newPlanResult(&migrate.Plan{Refused: "x", TooLarge: 7, TooLargePins: large, MaxPinBytes: 200}, nil), "")
		},
		"migrating: 7 pins of the source are too large: they are missing in the database": func(o *migrationOutput) error {
			return o.ran(&migrate.Report{TooLarge: 7, TooLargePins: large, MaxPinBytes: 200}, "", nil)
		},
		"migrating: 2 records of the source cannot be read and 7 pins of the source are too large: they are missing in the database": func(o *migrationOutput) error {
			return o.ran(&migrate.Report{Bad: 2, TooLarge: 7, TooLargePins: large, MaxPinBytes: 200}, "", nil)
		},
		"they differ": func(o *migrationOutput) error {
			found := &migrate.Comparison{TooLarge: 7, TooLargePins: large, MaxPinBytes: 200}
			failed := o.compared(found, "")
			if found.Equal() {
				t.Error("what was left out is no difference")
			}
			return differs(failed, "they differ")
		},
	} {
		var stdout bytes.Buffer
		err := end(newMigrationOutput(&stdout, io.Discard, false))
		var coded cli.ExitCoder
		if !errors.As(err, &coded) || coded.ExitCode() != exitDiffers || err.Error() != name {
			t.Errorf("the error is %v, want %s with exit code %d", err, name, exitDiffers)
		}
		const list = "7 pins of the source are larger than the 200 bytes that can be stored, the first 2\n  Qm1: 300 bytes\n  Qm2: 400 bytes\n"
		if !strings.Contains(stdout.String(), list) {
			t.Errorf("%s: the output is\n%swant\n%s", name, &stdout, list)
		}
	}
	refused := errors.New("refused")
	if err := newMigrationOutput(io.Discard, io.Discard, false).ran(&migrate.Report{TooLarge: 7}, "", refused); !errors.Is(err, refused) || errors.As(err, new(cli.ExitCoder)) {
		t.Errorf("the error of a refused run is %v, want that and exit code 1", err)
	}
}

// TestSizeInTheHelp: the text has a number, which is the bound.
func TestSizeInTheHelp(t *testing.T) {
	got := mustRun(t, t.TempDir(), "migrate", "run", "--help")
	if want := fmt.Sprintf("%d KiB", state.MaxPinBytes>>10); !strings.Contains(got.stdout, want) {
		t.Errorf("the help does not say %q:\n%s", want, got.stdout)
	}
}
