package recent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// store is what is asked. It answers after a while.
type store struct {
	mu     sync.Mutex
	values map[string]int
	err    error
	takes  time.Duration
	asked  int
}

func (s *store) load(ctx context.Context, key string) (int, bool, error) {
	s.mu.Lock()
	s.asked++
	value, ok := s.values[key]
	err, takes := s.err, s.takes
	s.mu.Unlock()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return 0, false, ctx.Err()
		}
	}
	return value, ok, err
}

func (s *store) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func inBubble(t *testing.T, test func(*testing.T, *store, *Answers[int])) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{values: map[string]int{"a": 1}}
		a, err := New(s.load, Config{Size: 10})
		if err != nil {
			t.Fatal(err)
		}
		test(t, s, a)
	})
}

func expect(t *testing.T, a *Answers[int], key string, value int, ok bool) {
	t.Helper()
	if got, there, err := a.Get(t.Context(), key); got != value || there != ok || err != nil {
		t.Errorf("%s is %d, %v, %v; not %d, %v", key, got, there, err, value, ok)
	}
}

func TestAges(t *testing.T) {
	inBubble(t, func(t *testing.T, s *store, a *Answers[int]) {
		expect(t, a, "a", 1, true)
		expect(t, a, "b", 0, false)
		s.set(func() { s.values = map[string]int{"b": 2} })
		time.Sleep(time.Second - time.Nanosecond)
		expect(t, a, "b", 0, false)
		time.Sleep(time.Nanosecond)
		expect(t, a, "b", 2, true)
		time.Sleep(4*time.Second - time.Nanosecond)
		expect(t, a, "a", 1, true)
		time.Sleep(time.Nanosecond)
		expect(t, a, "a", 0, false)
		if s.asked != 4 {
			t.Errorf("asked %d times", s.asked)
		}
	})
}

// The age counts from when the store was asked: what changed right after is told within
// Positive, however slow the store is.
func TestSlowStore(t *testing.T) {
	inBubble(t, func(t *testing.T, s *store, a *Answers[int]) {
		s.takes = 1900 * time.Millisecond
		expect(t, a, "a", 1, true)
		s.set(func() { s.values = nil })
		time.Sleep(3100*time.Millisecond - 1)
		expect(t, a, "a", 1, true)
		time.Sleep(time.Nanosecond)
		expect(t, a, "a", 0, false)
	})
}

func TestStoreIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T, s *store, a *Answers[int]) {
		expect(t, a, "a", 1, true)
		down := errors.New("down")
		s.set(func() { s.err = down })
		time.Sleep(5*time.Second - time.Nanosecond)
		expect(t, a, "a", 1, true)
		time.Sleep(time.Nanosecond)
		if _, ok, err := a.Get(t.Context(), "a"); ok || !errors.Is(err, down) {
			t.Errorf("got %v, %v", ok, err)
		}
		s.set(func() { s.err = nil })
		expect(t, a, "a", 1, true)
		s.set(func() { s.takes = time.Hour })
		begin := time.Now()
		if _, _, err := a.Get(t.Context(), "c"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 2*time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

func TestSingleFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, s *store, a *Answers[int]) {
		s.takes = time.Second
		first, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := a.Get(first, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("who left got %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			wg.Go(func() { expect(t, a, "a", 1, true) })
		}
		synctest.Wait()
		cancel() // who asked first leaves; the others get their answer
		wg.Wait()
		if s.asked != 1 {
			t.Errorf("asked %d times", s.asked)
		}
	})
}

// A flood of keys that do not exist pushes nothing out that exists, and is bounded.
func TestFlood(t *testing.T) {
	inBubble(t, func(t *testing.T, s *store, a *Answers[int]) {
		expect(t, a, "a", 1, true)
		for n := range 1000 {
			expect(t, a, fmt.Sprint("x", n), 0, false)
		}
		asked := s.asked
		expect(t, a, "a", 1, true)
		if s.asked != asked {
			t.Error("the flood pushed out what exists")
		}
		if a.missing.Len() > 10 || a.found.Len() > 10 {
			t.Errorf("%d and %d answers are remembered", a.missing.Len(), a.found.Len())
		}
	})
}

func TestForget(t *testing.T) {
	inBubble(t, func(t *testing.T, s *store, a *Answers[int]) {
		expect(t, a, "a", 1, true)
		s.set(func() { s.values = nil })
		a.Forget("a")
		expect(t, a, "a", 0, false)
		s.set(func() { s.values = map[string]int{"a": 3} })
		a.Forget("a")
		expect(t, a, "a", 3, true)
	})
}

func TestConfig(t *testing.T) {
	for _, config := range []Config{{Timeout: 6 * time.Second}, {Timeout: -1}, {Negative: -1}, {Size: -1}, {Positive: time.Second}} {
		if _, err := New((&store{}).load, config); err == nil {
			t.Errorf("%+v passes", config)
		}
	}
}
