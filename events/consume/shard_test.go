package consume

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// at is a moment of the simulations below.
func at(n int) time.Time { return time.Unix(1_000_000+int64(n), 0).UTC() }

// straggle is how late a row of the simulation may be appended.
const straggle = 5

// message is one in the stream of a simulation: one of these is set.
type message struct {
	row      *int // of an event
	epoch    int64
	n        uint64
	manifest *events.Manifest
	resume   *events.Resume
}

// feedModel is a feed and its relays, which number messages as bus.Publisher does.
type feedModel struct {
	now  int
	rows []int // times of the rows that can be read
	told map[int]bool
	// stored is what is in the stream, with its losses.
	stored []message

	epoch           int64
	last, solid     uint64
	announced       bool
	through, latest int
	position        int // what a new relay begins at
}

// store puts messages into the stream, or loses them.
func (f *feedModel) store(t *rapid.T, m message) {
	if rapid.IntRange(0, 4).Draw(t, "lost") != 0 {
		f.stored = append(f.stored, m)
	}
}

func (f *feedModel) announce(t *rapid.T) {
	if !f.announced {
		f.store(t, message{resume: &events.Resume{Epoch: f.epoch, N: f.last, After: f.solid, From: at(f.through)}})
		f.solid, f.announced = f.last, true
	}
}

// publish tells all rows that were not told, once it succeeds.
func (f *feedModel) publish(t *rapid.T) {
	var batch []int
	for _, row := range f.rows {
		if !f.told[row] {
			batch = append(batch, row)
		}
	}
	f.announce(t)
	fails := rapid.IntRange(0, 3).Draw(t, "fails") == 0
	for _, row := range batch {
		f.last++
		if !fails || rapid.Bool().Draw(t, "arrives") {
			f.store(t, message{row: &row, epoch: f.epoch, n: f.last})
		}
	}
	if fails {
		f.announced = false
		return
	}
	f.solid = f.last
	for _, row := range batch {
		f.told[row] = true
		f.latest = max(f.latest, row)
	}
	f.through = max(f.through, f.now-straggle-1)
	if rapid.Bool().Draw(t, "saved") {
		f.position = f.through
	}
}

func (f *feedModel) manifest(t *rapid.T) {
	f.announce(t)
	f.store(t, message{manifest: &events.Manifest{Epoch: f.epoch, N: f.solid, Through: at(f.through), Latest: at(f.latest)}})
}

// takeOver begins an epoch: rows after the position are read again.
func (f *feedModel) takeOver() {
	*f = feedModel{
		now: f.now, rows: f.rows, told: make(map[int]bool), stored: f.stored,
		epoch: f.epoch + 1, through: f.position, position: f.position,
	}
	for _, row := range f.rows {
		f.told[row] = row <= f.position
	}
}

// append makes a row readable, at most straggle after its time.
func (f *feedModel) append(t *rapid.T) {
	f.now++
	row := max(1, f.now-rapid.IntRange(0, straggle).Draw(t, "late"))
	if !slices.Contains(f.rows, row) {
		f.rows = append(f.rows, row)
	}
}

// take hands a message to a shard, and reports whether it is to be handled.
func take(s *shard, m message) bool {
	switch {
	case m.manifest != nil:
		if s.manifest(*m.manifest) != old {
			s.takeManifest(*m.manifest)
		}
	case m.resume != nil:
		if s.resume(*m.resume) != old {
			s.takeResume(*m.resume)
		}
	case s.event(m.epoch, m.n) != old:
		s.takeEvent(m.epoch, m.n)
		return true
	}
	return false
}

// TestNothingIsMissedUnnoticed shows for random feeds, failures, relays and losses that
// what a consumer has not handled is in its Missing, if it is not told later. From the time
// that a consumer asks for, and else from the first message that it has seen.
func TestNothingIsMissedUnnoticed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &feedModel{told: make(map[int]bool)}
		f.takeOver()
		var s shard
		since := rapid.Bool().Draw(t, "since")
		if since {
			s.Through = at(0)
		}
		handled := make(map[int]bool)
		before := make(map[int]bool) // told before the first message that was seen
		seen := 0
		var replay []int // what the relay has read that was asked last
		deliver := func() {
			for _, m := range f.stored[seen:] {
				if s.isNew() {
					for row, told := range f.told {
						before[row] = before[row] || told
					}
				}
				if take(&s, m) {
					handled[*m.row] = true
				}
			}
			seen = len(f.stored)
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": f.append,
			"work": func(t *rapid.T) { // what happens most
				f.append(t)
				f.publish(t)
				f.manifest(t)
				deliver()
			},
			"publish":  f.publish,
			"manifest": f.manifest,
			"takeOver": func(*rapid.T) { f.takeOver() },
			"deliver":  func(*rapid.T) { deliver() },
			"again": func(t *rapid.T) { // late or twice
				if seen == 0 {
					return
				}
				if m := f.stored[rapid.IntRange(0, seen-1).Draw(t, "which")]; take(&s, m) {
					handled[*m.row] = true
				}
			},
			"delete": func(*rapid.T) { f.stored, seen = nil, 0 },
			"ask": func(*rapid.T) {
				if len(s.Missing) == 0 {
					return
				}
				iv, _, _ := s.ask(time.Time{})
				replay = nil
				for _, row := range f.rows {
					if at(row).After(iv.From) && !at(row).After(iv.To) {
						replay = append(replay, row)
					}
				}
			},
			"replayed": func(*rapid.T) {
				for _, row := range replay {
					handled[row] = true
				}
				if s.asked != nil {
					s.replayed(*s.asked)
				}
			},
			"": func(t *rapid.T) {
				for _, row := range f.rows {
					if before[row] || handled[row] || at(row).After(s.Through) {
						continue
					}
					if !slices.ContainsFunc(s.Missing, func(iv interval) bool { return at(row).After(iv.From) && !at(row).After(iv.To) }) {
						t.Fatalf("row %d is neither handled nor missing: %+v", row, s)
					}
				}
			},
		})
	})
}
