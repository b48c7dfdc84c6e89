package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// memoryLog is a log whose faults a test sets.
type memoryLog struct {
	mu     sync.Mutex
	text   map[int64]string
	writes int
	err    error // of the next writes
	kept   bool  // although there is an error
}

func (m *memoryLog) Full() bool   { return false }
func (m *memoryLog) Close() error { return nil }

func (m *memoryLog) Write(text []byte, first int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	if old, there := m.text[first]; there && old != string(text) {
		return fmt.Errorf("other lines are at %d already", first)
	}
	if m.err == nil || m.kept {
		m.text[first] = string(text)
	}
	return m.err
}

func (m *memoryLog) set(err error, kept bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.kept = err, kept
}

// all is what is kept, in order.
func (m *memoryLog) all() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var text string
	for seq := int64(1); ; {
		more, there := m.text[seq]
		if !there {
			return text
		}
		text += more
		seq += int64(strings.Count(more, "\n"))
	}
}

func startChain(t *testing.T, log Log, at End) *Chain {
	t.Helper()
	c, err := StartChain(ChainOptions{Writer: "gw-1", Key: testKey()}, log, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Lines of which nobody knows whether they were written are written again before others; they
// stay open also if the log then says that this time they were not.
func TestOpenLines(t *testing.T) {
	refused := errors.New("refused")
	for _, kept := range []bool{false, true} {
		log := &memoryLog{text: make(map[int64]string)}
		c := startChain(t, log, End{})
		put := func(id string, want error) {
			t.Helper()
			e := event("alice", "t1")
			if err := c.Append(t.Context(), Record{Kind: Intent, ID: id, Event: &e}); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", id, err, want)
			}
		}
		put("a", nil)
		log.set(ErrOpen, kept)
		put("open", ErrOpen)
		put("never-1", ErrOpen)
		log.set(refused, false)
		put("never-2", refused)
		log.set(nil, false)
		put("b", nil)
		log.set(refused, false)
		put("never-3", refused)
		log.set(nil, false)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		text := log.all()
		if strings.Contains(text, "never") || strings.Count(text, "open") != 1 || strings.Count(text, "\n") != 5 {
			t.Errorf("kept %t: %s", kept, text)
		}
		if at, err := EndOf("gw-1", 1, []byte(text)); err != nil || at.seq != 5 {
			t.Errorf("kept %t: %+v, %v", kept, at, err)
		}
	}
}

func TestEndOf(t *testing.T) {
	log := &memoryLog{text: make(map[int64]string)}
	c := startChain(t, log, EndBefore(100))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	text := log.text[100] + log.text[101]
	at, err := EndOf("gw-1", 100, []byte(text))
	if err != nil || at.seq != 101 || at.hash == (hash{}) {
		t.Errorf("%+v, %v", at, err)
	}
	for name, err := range map[string]error{
		"nothing":        second(EndOf("gw-1", 100, nil)),
		"another number": second(EndOf("gw-1", 99, []byte(text))),
		"another writer": second(EndOf("gw-2", 100, []byte(text))),
		"torn":           second(EndOf("gw-1", 100, []byte(text[:len(text)-1]))),
		"changed":        second(EndOf("gw-1", 100, []byte(strings.Replace(text, "sealed", "seaked", 1)))),
		"twice":          second(EndOf("gw-1", 100, []byte(log.text[100]+log.text[100]))),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second(_ End, err error) error { return err }

// Copies in a file are there when they were acknowledged, also after a crash within a line.
func TestFileCopy(t *testing.T) {
	dir := t.TempDir()
	path := TableCopy(filepath.Join(dir, "audit"), "gw-1")
	put := func(seqs ...int64) {
		t.Helper()
		f, err := OpenFileCopy(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, seq := range seqs {
			c, err := sign(testKey(), "gw-1", seq, hash{1}, "2026-06-01T12:00:00.000000000Z")
			if err == nil {
				err = f.PutCheckpoint(t.Context(), c)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	read := func() (seqs []int64) {
		t.Helper()
		all, err := ReadTableCopies(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			if err := c.Verify(publicKeys()); err != nil {
				t.Error(err)
			}
			seqs = append(seqs, c.Seq)
		}
		return seqs
	}
	put(1, 2)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text[:len(text)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(read()); got != "[1]" {
		t.Errorf("after a crash: %s", got)
	}
	put(3)
	if got := fmt.Sprint(read()); got != "[1 3]" {
		t.Errorf("after the next start: %s", got)
	}
	if len(files(t, filepath.Dir(path))) > 0 {
		t.Error("the copies are taken for records")
	}
	if err := os.WriteFile(path, []byte("hello\n"+string(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadTableCopies(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "line 1 of") {
		t.Errorf("what is no checkpoint: %v", err)
	}
}

// What EndOf takes for a piece of a chain has as many lines as numbers.
func FuzzEndOf(f *testing.F) {
	log := &memoryLog{text: make(map[int64]string)}
	c, err := StartChain(ChainOptions{Writer: "gw-1", Key: testKey()}, log, End{}, nil)
	if err != nil {
		f.Fatal(err)
	}
	if err := c.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(int64(1), []byte(log.all()))
	f.Add(int64(2), []byte(log.text[2]))
	f.Add(int64(1), []byte("\n"))
	f.Add(int64(-1), []byte(""))
	f.Fuzz(func(t *testing.T, first int64, text []byte) {
		at, err := EndOf("gw-1", first, text)
		if err == nil && (first < 1 || at.seq != first-1+int64(strings.Count(string(text), "\n")) || text[len(text)-1] != '\n') {
			t.Errorf("from %d on to %d: %q", first, at.seq, text)
		}
	})
}
