package audit

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// killLoops is how often the process is killed: more with TEST_LONG.
func killLoops() int {
	if os.Getenv("TEST_LONG") != "" {
		return 200
	}
	return 8
}

// TestMain makes this binary the process that TestKill kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("AUDIT_KILL_DIR"); dir != "" {
		if err := mutate(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// mutate does mutations until it is killed: each appends its id to a file. It writes a
// line to its output after each.
func mutate(dir string) error {
	f, err := OpenFile(FileOptions{Dir: dir, Writer: "gw-1", Key: testKey(), Every: 20, MaxBytes: 20_000})
	if err != nil {
		return err
	}
	r, err := NewRecorder(RecorderOptions{Sinks: []Sink{f}})
	if err != nil {
		return err
	}
	effects, err := os.OpenFile(filepath.Join(dir, "effects"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	ctx := context.Background()
	failed := make(chan error)
	for range 8 {
		go func() {
			for {
				p, err := r.Begin(ctx, event("alice", "t1"))
				if err != nil {
					failed <- err
					return
				}
				if _, err := effects.WriteString(p.ID() + "\n"); err != nil {
					failed <- err
					return
				}
				fmt.Println(p.ID())
				if err := p.End(ctx, Result{Verdict: Success}); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

// No mutation without an intent, however often the process is killed in the midst of it,
// and the chain is in order. It does not show what a power cut leaves: that the intent
// is on disk is TestAppendIsDurable's matter.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(17, 1))
	for range killLoops() {
		killAfter(t, dir, 1+random.IntN(60))
	}
	text, err := os.ReadFile(filepath.Join(dir, "effects"))
	if err != nil {
		t.Fatal(err)
	}
	done := strings.Fields(string(text))
	found := search1(t, dir, Query{Limit: 1 << 20})
	verdicts := make(map[string]Verdict)
	unknown := 0
	for _, f := range found {
		verdicts[f.ID] = f.Result.Verdict
		if f.Result.Verdict == Unknown {
			unknown++
		}
	}
	for _, id := range done {
		if verdicts[id] == "" {
			t.Errorf("the mutation %s has no intent", id)
		}
		delete(verdicts, id)
	}
	for id, verdict := range verdicts {
		if verdict != Unknown {
			t.Errorf("%s was not done and is a %s", id, verdict)
		}
	}
	report := mustBeIntact(t, dir, nil)
	if w := report.Writers[0]; w.Starts != killLoops() || unknown == 0 || len(done) < 2*killLoops() {
		t.Errorf("the test shows little: %d mutations, %d unknown, %+v", len(done), unknown, w)
	}
	t.Logf("%d mutations, %d unknown, %d times something was torn", len(done), unknown, report.Writers[0].Dropped)
}

// killAfter starts the process and kills it after n mutations.
func killAfter(t *testing.T, dir string, n int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "AUDIT_KILL_DIR="+dir)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error("process "+strconv.Itoa(cmd.Process.Pid), err)
		}
	})
	defer kill()
	lines := bufio.NewReader(out)
	for range n {
		if _, err := lines.ReadString('\n'); err != nil {
			break
		}
	}
	kill()
	_, _ = io.Copy(io.Discard, lines) // until it is gone
	_ = cmd.Wait()                    // killed
	if problems.Len() > 0 {
		t.Fatal(problems.String())
	}
}
