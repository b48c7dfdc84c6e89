package consume

import (
	"bytes"
	"testing"
	"time"
)

// FuzzParseState shows that a state that is accepted is written as it was read, and that
// what is missing in it can be asked for until nothing is.
func FuzzParseState(f *testing.F) {
	s := newState(at(5))
	s.in(at(1))
	s.Shards[3] = &shard{Epoch: 2, N: 7, Solid: 5, Through: at(9), Seq: 11, Missing: []interval{{To: at(2)}, {From: at(3), To: at(4)}}}
	text, err := s.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(bytes.Replace(text, []byte(`"solid":5`), []byte(`"solid":8`), 1))
	f.Add(bytes.Replace(text, []byte(`"epoch":2`), []byte(`"epoch":-2`), 1))
	f.Add([]byte(`{"shards":[null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseState(text)
		if err != nil {
			return
		}
		once, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseState(once)
		if err != nil {
			t.Fatalf("%s is not read again: %s", once, err)
		}
		if twice, err := again.encode(); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s became %s: %v", once, twice, err)
		}
		for i, sh := range again.Shards {
			for n := len(sh.Missing); n > 0 && sh.Missing[0].To.Sub(sh.Missing[0].From) < 100*maxReplay; {
				sh.ask(time.Time{})
				if !sh.replayed(*sh.asked) {
					t.Fatalf("what was asked for is not taken off: shard %d, %+v", i, sh)
				}
				if left := len(sh.Missing); left < n {
					n = left
				}
			}
		}
	})
}

// TestReplayOfLess shows that a replay of less than what was asked for does not count.
func TestReplayOfLess(t *testing.T) {
	asked := interval{From: at(10), To: at(20)}
	for _, test := range []struct {
		told interval
		want bool
	}{
		{asked, true},
		{interval{From: at(5), To: at(25)}, true},
		{interval{From: at(11), To: at(20)}, false},
		{interval{From: at(10), To: at(19)}, false},
		{interval{From: at(10), To: at(20).Add(-time.Nanosecond)}, false},
	} {
		s := shard{Missing: []interval{asked}}
		s.ask(time.Time{})
		if got := s.replayed(test.told); got != test.want || got != (len(s.Missing) == 0) {
			t.Errorf("told %+v: %v, and %v is missing", test.told, got, s.Missing)
		}
	}
}

// TestAsksLessOften shows that a relay that is slow is not asked for the same more and more
// often.
func TestAsksLessOften(t *testing.T) {
	r := newRun(&Consumer{opts: Options{AskAgain: time.Minute}})
	r.state = newState(at(1))
	s, a := r.state.Shards[0], &r.shards[0].ask
	s.Missing = []interval{{From: at(1), To: at(2)}}
	s.ask(time.Time{})
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 16} {
		a.sent = i + 1
		r.answered(answer{sent: i + 1, name: "r"})
		if a.wait != want*time.Minute {
			t.Errorf("after %d requests it waits for %s", i+1, a.wait)
		}
	}
	r.finish(0, s.Missing[0])
	if a.wait != 0 || len(s.Missing) > 0 {
		t.Errorf("after a replay it waits for %s, and %v is missing", a.wait, s.Missing)
	}
}
