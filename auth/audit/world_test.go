package audit

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func testKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", 32))) }

func publicKeys() []ed25519.PublicKey {
	return []ed25519.PublicKey{testKey().Public().(ed25519.PublicKey)}
}

// copies keeps checkpoints.
type copies struct {
	mu  sync.Mutex
	all []Checkpoint
	err error
}

func (c *copies) PutCheckpoint(_ context.Context, p Checkpoint) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.all = append(c.all, p)
	}
	return c.err
}

// manual is a clock that goes on by a millisecond each time it is read.
type manual struct {
	mu sync.Mutex
	at time.Time
}

func (m *manual) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = m.at.Add(time.Millisecond)
	return m.at
}

func newClock() *manual { return &manual{at: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)} }

func openFile(t testing.TB, o FileOptions) *File {
	t.Helper()
	if o.Writer == "" {
		o.Writer = "gw-1"
	}
	o.Key = testKey()
	f, err := OpenFile(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func closeFile(t testing.TB, f *File) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func event(principal, tenant string) Event {
	return Event{
		Actor:    Actor{Principal: principal, Tenant: tenant, Method: "apikey", Credential: "k1", IP: "192.0.2.1", UserAgent: "kubo"},
		Action:   "pins:delete",
		Resource: Resource{Kind: "pin", ID: "r1", Tenant: tenant, Owner: principal, CID: "bafy", Name: "a <name> & \u20ac"},
		Decision: Decision{Allowed: true, Policies: []string{"user-changes-own"}, Version: "v"},
		HTTP:     HTTP{"DELETE", "/pins/{requestID}"},
	}
}

// fill appends n events with outcomes.
func fill(t testing.TB, f *File, n int) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("%s-%d", f.options.Writer, i)
		e := event("alice", "t1")
		for _, r := range []Record{{Kind: Intent, ID: id, Event: &e}, {Kind: Outcome, ID: id, Result: &Result{Verdict: Success, Status: 202}}} {
			if err := f.Append(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func readAll(t testing.TB, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
}

func writeAll(t testing.TB, path string, lines []string) {
	t.Helper()
	text := strings.TrimSuffix(strings.Join(lines, ""), "\n") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func files(t testing.TB, dir string) []segment {
	t.Helper()
	all, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func verify(t testing.TB, dir string, o VerifyOptions) Report {
	t.Helper()
	if o.Keys == nil {
		o.Keys = publicKeys()
	}
	report, err := Verify(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func mustBeIntact(t testing.TB, dir string, known []Checkpoint) Report {
	t.Helper()
	report := verify(t, dir, VerifyOptions{Known: known})
	for _, p := range report.Problems {
		t.Errorf("a problem: %s", p)
	}
	return report
}

// copyDir copies the files of a directory into a new one.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func base(s segment) string { return filepath.Base(s.path) }
