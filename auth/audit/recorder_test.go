package audit

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// memory is a sink that can fail and hang.
type memory struct {
	mu      sync.Mutex
	records []Record
	err     error
	hang    bool
}

func (m *memory) Append(ctx context.Context, r Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	hang, err := m.hang, m.err
	if !hang && err == nil {
		m.records = append(m.records, r)
	}
	m.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (m *memory) set(err error, hang bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.hang = err, hang
}

func (m *memory) all() []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Record(nil), m.records...)
}

func newRecorder(t *testing.T, o RecorderOptions) *Recorder {
	t.Helper()
	r, err := NewRecorder(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBeginAndEnd(t *testing.T) {
	sink := new(memory)
	r := newRecorder(t, RecorderOptions{Sinks: []Sink{sink}, Now: newClock().now})
	p, err := r.Begin(t.Context(), event("alice", "t1"))
	if err != nil {
		t.Fatal(err)
	}
	if got := sink.all(); len(got) != 1 || got[0].Kind != Intent || got[0].ID != p.ID() || got[0].Event.Actor.Principal != "alice" {
		t.Fatalf("%+v", got)
	}
	// The client leaves: the outcome is recorded all the same.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.End(ctx, Result{Verdict: Success, Status: 202}); err != nil {
		t.Fatal(err)
	}
	if got := sink.all(); len(got) != 2 || got[1].Kind != Outcome || got[1].ID != p.ID() || got[1].Result.Micros != 1000 {
		t.Fatalf("%+v", got)
	}
	if p.End(ctx, Result{Verdict: Failure}) == nil || len(sink.all()) != 2 {
		t.Error("an event has two outcomes")
	}
	if err := r.Done(ctx, event("bob", "t1"), Result{Verdict: Denied, Status: 403}); err != nil || sink.all()[2].Kind != Done {
		t.Errorf("%v %+v", err, sink.all())
	}
	if _, err := NewRecorder(RecorderOptions{}); err == nil {
		t.Error("a recorder without a sink")
	}
}

// Nothing may be done when no sink can write, and everything when one can.
func TestFailClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("full")
		a, b := new(memory), new(memory)
		told := make(map[int]int)
		var mu sync.Mutex
		r := newRecorder(t, RecorderOptions{Sinks: []Sink{a, b}, SinkFailed: func(sink int, _ error) {
			mu.Lock()
			told[sink]++
			mu.Unlock()
		}})
		a.set(full, false)
		p, err := r.Begin(t.Context(), event("alice", "t1"))
		if err != nil {
			t.Fatalf("one sink writes: %v", err)
		}
		b.set(nil, true)
		started := time.Now()
		if _, err := r.Begin(t.Context(), event("alice", "t1")); !errors.Is(err, ErrUnavailable) || !errors.Is(err, full) {
			t.Errorf("one fails, one hangs: %v", err)
		}
		if took := time.Since(started); took != 5*time.Second {
			t.Errorf("it took %v", took)
		}
		b.set(full, false)
		if _, err := r.Begin(t.Context(), event("alice", "t1")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("both fail: %v", err)
		}
		if err := r.Done(t.Context(), event("alice", "t1"), Result{}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("both fail: %v", err)
		}
		if err := p.End(t.Context(), Result{Verdict: Success}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("both fail: %v", err)
		}
		b.set(nil, false)
		if err := p.End(t.Context(), Result{Verdict: Success}); err != nil {
			t.Errorf("the outcome again: %v", err)
		}
		synctest.Wait()
		if len(b.all()) != 2 || told[0] < 5 || told[1] < 4 {
			t.Errorf("%d records, failures %v", len(b.all()), told)
		}
	})
}

// A sink that hangs keeps a bounded number of records in memory.
func TestHangingSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, hanging := new(memory), new(memory)
		hanging.set(nil, true)
		r := newRecorder(t, RecorderOptions{Sinks: []Sink{hanging, good}, Waiting: 3})
		for range 10 {
			if err := r.Done(t.Context(), event("alice", "t1"), Result{}); err != nil {
				t.Error(err)
			}
		}
		if n := r.waiting[0].Load(); n != 3 {
			t.Errorf("%d records wait", n)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if n := r.waiting[0].Load(); n != 0 || len(good.all()) != 10 {
			t.Errorf("%d records wait, %d are kept", n, len(good.all()))
		}
	})
}

// An attacker decides neither how many records there are nor how much memory is used.
func TestFailedAttempts(t *testing.T) {
	sink := new(memory)
	r := newRecorder(t, RecorderOptions{Sinks: []Sink{sink}, Now: newClock().now, Failures: FailureOptions{Single: 5, Groups: 10}})
	attempts := 0
	fail := func(ip string, n int) {
		for range n {
			attempts++
			if err := r.Failed(t.Context(), Attempt{IP: netip.MustParseAddr(ip), Method: "apikey", Reason: "INVALID_TOKEN", Credential: "k1"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	fail("192.0.2.1", 5)
	if got := sink.all(); len(got) != 5 || got[0].Attempts.Network != "192.0.2.1" || got[0].Attempts.Credential != "k1" {
		t.Fatalf("%+v", got)
	}
	fail("192.0.2.7", 100)
	fail("::ffff:192.0.2.8", 50)
	fail("2001:db8::1", 10)
	fail("2001:db8::2:1", 10)
	for i := range 50 {
		fail(fmt.Sprintf("198.51.%d.1", i), 20)
	}
	if n := len(r.failures.groups); n > 11 || len(sink.all()) != 5 {
		t.Fatalf("%d groups, %d records", n, len(sink.all()))
	}
	// What cannot be recorded is counted on.
	sink.set(errors.New("full"), false)
	if r.Flush(t.Context()) == nil {
		t.Error("no error")
	}
	sink.set(nil, false)
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	records := sink.all()
	if len(records) > 5+11 {
		t.Errorf("%d records", len(records))
	}
	total := int64(0)
	of := make(map[string]int64)
	for _, record := range records {
		total += record.Attempts.Count
		of[record.Attempts.Network] += record.Attempts.Count
	}
	if total != int64(attempts) || of["192.0.2.0/24"] != 150 || of["2001:db8::/64"] != 20 || of[""] == 0 {
		t.Errorf("%d of %d attempts: %v", total, attempts, of)
	}
}

func TestRunFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := new(memory)
		r := newRecorder(t, RecorderOptions{Sinks: []Sink{sink}, Failures: FailureOptions{Single: 1, Window: time.Minute}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Run(ctx, func(err error) { t.Error(err) })
		}()
		fail := func() {
			if err := r.Failed(ctx, Attempt{IP: netip.MustParseAddr("192.0.2.1")}); err != nil {
				t.Error(err)
			}
		}
		fail()
		fail()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if n := len(sink.all()); n != 2 {
			t.Errorf("%d records after a window", n)
		}
		fail()
		fail()
		cancel()
		<-done
		if n := len(sink.all()); n != 4 {
			t.Errorf("%d records at the end", n)
		}
	})
}

func TestNoSecretFields(t *testing.T) {
	line, _, err := appendLine(nil, hash{}, &Record{Event: &Event{}, Attempts: &Attempts{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"secret", "token", "authorization", "cookie", "password", "signature"} {
		if strings.Contains(strings.ToLower(string(line)), word) {
			t.Errorf("a record has a field for %s", word)
		}
	}
}

// held is a sink that keeps a record when it is told to.
type held struct {
	goOn chan struct{}
	kept atomic.Int64
}

func (h *held) Append(context.Context, Record) error {
	<-h.goOn
	h.kept.Add(1)
	return nil
}

// TestWait: a record counts when one sink has it, and Wait waits for the others.
func TestWait(t *testing.T) {
	fast, slow := &held{goOn: make(chan struct{})}, &held{goOn: make(chan struct{})}
	close(fast.goOn)
	r, err := NewRecorder(RecorderOptions{Sinks: []Sink{fast, slow}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Done(t.Context(), Event{}, Result{}); err != nil || slow.kept.Load() != 0 {
		t.Fatal(err, slow.kept.Load())
	}
	go close(slow.goOn)
	r.Wait()
	if fast.kept.Load() != 1 || slow.kept.Load() != 1 {
		t.Errorf("the sinks have %d and %d records", fast.kept.Load(), slow.kept.Load())
	}
}
