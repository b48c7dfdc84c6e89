package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// recorder is a batching store that remembers what was written.
type recorder struct {
	state.BatchingStore
	waiting, committed []api.Pin
	commits            int
	addErr             func(api.Pin) error
	commitErr          func(commit int) error
}

func (r *recorder) Add(_ context.Context, pin api.Pin) error {
	if r.addErr != nil {
		if err := r.addErr(pin); err != nil {
			return err
		}
	}
	r.waiting = append(r.waiting, pin)
	return nil
}

func (r *recorder) Commit(ctx context.Context) error {
	r.commits++
	if r.commitErr != nil {
		if err := r.commitErr(r.commits); err != nil {
			return err
		}
	}
	r.committed = append(r.committed, r.waiting...)
	r.waiting = nil
	return ctx.Err()
}

// lines returns n pins as an export has them.
func lines(t *testing.T, n int) string {
	t.Helper()
	var out strings.Builder
	enc := json.NewEncoder(&out)
	for i := range n {
		if err := enc.Encode(testPin(t, i)); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestImportCommitsInBatches(t *testing.T) {
	for _, tc := range []struct{ pins, commits int }{{0, 1}, {1, 1}, {importBatch, 2}, {2*importBatch + 1, 3}} {
		st := &recorder{}
		n, err := addPins(t.Context(), strings.NewReader(lines(t, tc.pins)), st, api.PinOptions{}, quiet())
		if err != nil || n != tc.pins || len(st.committed) != tc.pins || st.commits != tc.commits {
			t.Errorf("%d pins: got %d, %v, %d committed in %d commits; want %d commits", tc.pins, n, err, len(st.committed), st.commits, tc.commits)
		}
	}
}

func TestImportNamesTheLine(t *testing.T) {
	one := strings.TrimSpace(lines(t, 1))
	without := func(key string) string {
		var m map[string]any
		if err := json.Unmarshal([]byte(one), &m); err != nil {
			t.Fatal(err)
		}
		delete(m, key)
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	c := testPin(t, 0).Cid.String()
	noType := "the pin of " + c + ` has no type, or one that is unknown: use "pin", "meta-pin", "clusterdag-pin" or "shard-pin" (0 pins are imported)`
	for _, tc := range []struct{ name, input, want string }{
		{"not JSON", one + "\nhello\n", "line 2: not a pin in JSON: invalid character 'h' looking for beginning of value (0 pins are imported)"},
		{"not JSON first", "hello", "line 1: not a pin in JSON: invalid character 'h' looking for beginning of value (0 pins are imported)"},
		{"broken pin", one + "\n\n" + one[:40] + "}\n" + one, "line 3: not a pin in JSON: "},
		{"cut", one + "\n" + one + "\n" + one[:len(one)/2], "line 3: the input ends in the middle of a pin: the file is not whole (0 pins are imported)"},
		{"an array", "[\n" + one + "]", "line 2: not a pin: json: cannot unmarshal array into Go value of type api.Pin (0 pins are imported)"},
		{"wrong type", one + "\n{\"cid\": 7}", "line 2: not a pin: "},
		{"no cid", one + "\n" + without("cid"), "line 2: a pin without cid (0 pins are imported)"},
		{"null", one + "\nnull", "line 2: a pin without cid (0 pins are imported)"},
		{"no type", one + "\n" + without("type"), "line 2: " + noType},
		{"unknown type", strings.Replace(one, `"type":"pin"`, `"type":"pim"`, 1), "line 1: " + noType},
		{"all types", strings.Replace(one, `"type":"pin"`, `"type":"all"`, 1), "line 1: " + noType},
		{"factors", one + "\n" + strings.Replace(one, `"replication_factor_min":1`, `"replication_factor_min":3`, 1),
			"line 2: the pin of " + c + " would have replication factors 3 to 2: use --replication-min and --replication-max together (0 pins are imported)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			st := &recorder{}
			n, err := addPins(t.Context(), strings.NewReader(tc.input), st, api.PinOptions{}, quiet())
			if err == nil {
				t.Fatal("imported, want an error")
			}
			if !strings.HasPrefix(err.Error(), "importing state: "+tc.want) {
				t.Errorf("\n got %s\nwant importing state: %s", err, tc.want)
			}
			if n != 0 || len(st.committed) != 0 {
				t.Errorf("%d pins reported, %d committed; want none", n, len(st.committed))
			}
		})
	}
}

// The line must also be right far into a file and for pins on many lines.
func TestImportCountsLines(t *testing.T) {
	var input bytes.Buffer
	if err := json.Indent(&input, []byte(strings.TrimSpace(lines(t, 1))), "", " "); err != nil {
		t.Fatal(err)
	}
	wide := strings.Count(input.String(), "\n") + 1
	if wide < 10 {
		t.Fatalf("the pin is on %d lines, want many", wide)
	}
	input.WriteString("\r\n" + lines(t, 3*importBatch) + "\n\n{}\n")
	_, err := addPins(t.Context(), &input, &recorder{}, api.PinOptions{}, quiet())
	want := fmt.Sprintf("importing state: line %d: a pin without cid (%d pins are imported)", wide+3*importBatch+2+1, 3*importBatch)
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestImportOverrides(t *testing.T) {
	id, err := peer.Decode(peerA)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		opts api.PinOptions
		want func(*api.Pin)
	}{
		{api.PinOptions{}, func(*api.Pin) {}},
		{api.PinOptions{ReplicationFactorMin: 2}, func(p *api.Pin) { p.ReplicationFactorMin = 2 }},
		{api.PinOptions{ReplicationFactorMax: 7}, func(p *api.Pin) { p.ReplicationFactorMax = 7 }},
		{api.PinOptions{UserAllocations: []peer.ID{id}}, func(p *api.Pin) { p.Allocations = []peer.ID{id} }},
	} {
		st := &recorder{}
		if _, err := addPins(t.Context(), strings.NewReader(lines(t, 1)), st, tc.opts, quiet()); err != nil {
			t.Fatal(err)
		}
		want := testPin(t, 0)
		tc.want(&want)
		if len(st.committed) != 1 || !st.committed[0].Equals(want) {
			t.Errorf("with %+v imported %+v, want %+v", tc.opts, st.committed, want)
		}
	}
}

func TestImportReportsWhatIsWritten(t *testing.T) {
	down := errors.New("database down")
	t.Run("commit", func(t *testing.T) {
		st := &recorder{commitErr: func(commit int) error {
			if commit == 3 {
				return down
			}
			return nil
		}}
		n, err := addPins(t.Context(), strings.NewReader(lines(t, 4*importBatch)), st, api.PinOptions{}, quiet())
		if want := "importing state: lines 2001 to 3000: database down (2000 pins are imported)"; n != 2000 || !errors.Is(err, down) || err.Error() != want {
			t.Errorf("got %d, %v; want 2000, %s", n, err, want)
		}
	})
	t.Run("last commit", func(t *testing.T) {
		st := &recorder{commitErr: func(commit int) error {
			if commit == 2 {
				return down
			}
			return nil
		}}
		n, err := addPins(t.Context(), strings.NewReader(lines(t, importBatch+5)), st, api.PinOptions{}, quiet())
		if want := "importing state: lines from 1001: database down (1000 pins are imported)"; n != 1000 || !errors.Is(err, down) || err.Error() != want {
			t.Errorf("got %d, %v; want 1000, %s", n, err, want)
		}
	})
	t.Run("add", func(t *testing.T) {
		bad := testPin(t, importBatch+1).Cid
		st := &recorder{addErr: func(pin api.Pin) error {
			if pin.Cid == bad {
				return down
			}
			return nil
		}}
		n, err := addPins(t.Context(), strings.NewReader(lines(t, 2*importBatch)), st, api.PinOptions{}, quiet())
		if want := "importing state: line 1002: database down (1000 pins are imported)"; n != 1000 || !errors.Is(err, down) || err.Error() != want {
			t.Errorf("got %d, %v; want 1000, %s", n, err, want)
		}
	})
}

// TestImportCanBeStopped ends an import whose input never ends.
func TestImportCanBeStopped(t *testing.T) {
	r, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	added := make(chan struct{})
	st := &recorder{addErr: func(api.Pin) error { close(added); return nil }}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := addPins(ctx, r, st, api.PinOptions{}, quiet())
		ended <- err
	}()
	if _, err := io.WriteString(w, lines(t, 1)); err != nil {
		t.Fatal(err)
	}
	<-added
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if st.commits != 0 {
			t.Error("an import that was stopped went on to commit")
		}
	case <-time.After(patience):
		t.Fatal("the import did not end")
	}
}

func TestImportRefusesOptions(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--rmin", "-1"}, "reading the command line: --replication-min and --replication-max take 1 or more, 0 leaves the pins as they are"},
		{[]string{"--rmax", "-1"}, "reading the command line: --replication-min and --replication-max take 1 or more, 0 leaves the pins as they are"},
		{[]string{"--rmin", "3", "--rmax", "2"}, "reading the command line: --replication-min 3 is more than --replication-max 2"},
		{[]string{"--allocs", peerA + ",me"}, `reading --allocations: "me" is not a peer ID: failed to parse peer ID: invalid cid: illegal base64 data at input byte 0`},
	} {
		checkRefused(t, run(t, t.TempDir(), "", append([]string{"state", "import", "--force"}, tc.args...)...), tc.want)
	}
}

// With a scylla state the database is asked what is there before the user is
// (TestSharedKeyspace), but not when there is no file.
func TestImportAsksFirst(t *testing.T) {
	const missing = "reading import file: open missing.json: no such file or directory"
	checkRefused(t, run(t, initWith(t, nil), "", "state", "import", "missing.json"), missing)
	crdt := t.TempDir()
	mustRun(t, crdt, "init")
	for _, answer := range []string{"n\n", ""} {
		got := run(t, crdt, answer, "state", "import", "missing.json")
		want := "The pinset (state) of this peer will be replaced. Continue? [y/n]: "
		if got.code != 0 || got.stdout != want {
			t.Errorf("exit code %d, stdout %q; want 0, %q", got.code, got.stdout, want)
		}
	}
	checkRefused(t, run(t, crdt, "y\n", "state", "import", "missing.json"), missing)
}
