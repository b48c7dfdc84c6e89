package audittable

import (
	"bufio"
	"context"
	"encoding/json"
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
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqlsection"
)

// killLoops is how often the process is killed: more with TEST_LONG.
func killLoops() int {
	if os.Getenv("TEST_LONG") != "" {
		return 100
	}
	return 4
}

// killed is what the process that is killed is told.
type killed struct {
	Database cqlsection.Config
	Effects  string // a file to which each mutation appends its id
}

// mutate does mutations until it is killed. It writes a line to its output after each.
func mutate(conf string) error {
	var k killed
	if err := json.Unmarshal([]byte(conf), &k); err != nil {
		return err
	}
	ctx := context.Background()
	db, err := keyspace.Open(ctx, k.Database, nil)
	if err != nil {
		return err
	}
	o := options("gw-1")
	o.Chain.Every, o.leaseTime = 20, time.Second
	table, err := Open(ctx, db, o)
	if err != nil {
		return err
	}
	r, err := audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{table}, Timeout: time.Minute})
	if err != nil {
		return err
	}
	effects, err := os.OpenFile(k.Effects, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 8 {
		go func() {
			for {
				p, err := r.Begin(ctx, event())
				if err == nil {
					_, err = effects.WriteString(p.ID() + "\n")
				}
				if err == nil {
					fmt.Println(p.ID())
					err = p.End(ctx, audit.Result{Verdict: audit.Success})
				}
				if err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

// No mutation without an intent, however often the process is killed in the midst of it, and
// the chain is in order.
func TestKill(t *testing.T) {
	conf := newKeyspace(t)
	db := openDB(t, conf)
	k := killed{conf, filepath.Join(t.TempDir(), "effects")}
	random := rand.New(rand.NewPCG(17, 2))
	for range killLoops() {
		killAfter(t, k, 1+random.IntN(60))
	}
	text, err := os.ReadFile(k.Effects)
	must(t, err)
	done := strings.Fields(string(text))
	found := search(t, db)
	unknown := 0
	for _, f := range found {
		if f.Result.Verdict == audit.Unknown {
			unknown++
		}
	}
	for _, id := range done {
		if found[id].ID == "" {
			t.Errorf("the mutation %s has no intent", id)
		}
		delete(found, id)
	}
	for id, f := range found {
		if f.Result.Verdict != audit.Unknown {
			t.Errorf("%s was not done and is a %s", id, f.Result.Verdict)
		}
	}
	report := mustBeIntact(t, db, nil)
	if w := report.Writers[0]; w.Starts != killLoops() || unknown == 0 || len(done) < 2*killLoops() {
		t.Errorf("the test shows little: %d mutations, %d unknown, %+v", len(done), unknown, w)
	}
	t.Logf("%d mutations, %d unknown", len(done), unknown)
}

// killAfter starts the process and kills it after n mutations.
func killAfter(t *testing.T, k killed, n int) {
	t.Helper()
	conf, err := json.Marshal(k)
	must(t, err)
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "AUDIT_KILL="+string(conf))
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	kill := sync.OnceFunc(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error("process "+strconv.Itoa(cmd.Process.Pid), err)
		}
	})
	defer kill()
	lines := bufio.NewReader(out)
	for i := range n {
		if _, err := lines.ReadString('\n'); err != nil {
			t.Errorf("it ended by itself after %d mutations: %v", i, err)
			break
		}
	}
	kill()
	_, _ = io.Copy(io.Discard, lines) // until it is gone
	_ = cmd.Wait()                    // killed
	if t.Failed() {
		t.Fatal(problems.String())
	}
}
