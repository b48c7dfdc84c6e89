package consume

import (
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// maxReplay is the longest time that a relay is asked for at once: what it tells again must
// not fill the stream before it is read.
const maxReplay = time.Hour

// early is how much earlier a change may have been written than the message was stored with
// which a consumer begins, if that does not say how far its relay has read.
const early = time.Hour

// shard is what a consumer knows of a shard. Its zero value knows nothing, and takes
// the first message of the stream as its beginning.
type shard struct {
	// Epoch is the latest that was seen, and N the last number in it.
	Epoch int64  `json:"epoch"`
	N     uint64 `json:"n"`
	// Solid is the number up to which nothing is missing, but for Missing: N, less after
	// a jump, and -1 if the beginning of the epoch is missing.
	Solid int64 `json:"solid"`
	// Through is how far in time everything was handled, but for Missing.
	Through time.Time `json:"through,omitzero"`
	// Missing is what is to be told again.
	Missing []interval `json:"missing,omitempty"`
	// Seq is the place in the stream of the last message that was taken, 0 if it is not
	// known. It only tells where to look again.
	Seq uint64 `json:"seq,omitzero"`

	// asked is the part of Missing that a relay was asked for, nil if none was or if it
	// has to be asked again.
	asked *interval
}

// verdict is how a message follows what was seen.
type verdict int

const (
	// old is seen already, or of a relay that was replaced.
	old verdict = iota
	// next follows.
	next
	// jump follows something that was not seen.
	jump
)

// isNew reports whether nothing is known, not even since when events are wanted.
func (s *shard) isNew() bool { return s.Epoch == 0 && s.Through.IsZero() }

// position is a number of an epoch. The zero value is none.
type position struct {
	known bool
	epoch int64
	n     uint64
}

func (s *shard) position() position { return position{true, s.Epoch, s.N} }

// begin notes when the first message was stored that was taken.
func (s *shard) begin(stored time.Time) {
	if s.Through.IsZero() {
		s.Through = stored.Add(-early)
	}
}

// solid reports whether nothing is missing up to number n.
func (s *shard) solid(n uint64) bool { return s.Solid >= 0 && uint64(s.Solid) >= n }

// event judges an event by its number.
func (s *shard) event(epoch int64, n uint64) verdict {
	switch {
	case epoch < s.Epoch || epoch == s.Epoch && n <= s.N:
		return old
	case s.isNew() || epoch == s.Epoch && n == s.N+1:
		return next
	}
	return jump
}

// takeEvent notes an event that is not old.
func (s *shard) takeEvent(epoch int64, n uint64) {
	switch {
	case s.isNew():
		s.Solid = int64(n)
	case epoch > s.Epoch:
		s.Solid = -1
	case n == s.N+1 && s.solid(s.N):
		s.Solid = int64(n)
	}
	s.Epoch, s.N = epoch, n
}

// manifest judges a manifest.
func (s *shard) manifest(m events.Manifest) verdict {
	switch {
	case m.Epoch < s.Epoch || m.Epoch == s.Epoch && m.N < s.N:
		return old
	case s.isNew() || m.Epoch == s.Epoch && m.N == s.N:
		return next
	}
	return jump
}

// takeManifest notes a manifest that is not old. What jumps before it have left out has
// times until its Latest, as messages also tell of changes after its Through.
func (s *shard) takeManifest(m events.Manifest) {
	whole := s.isNew() || m.Epoch == s.Epoch && s.solid(m.N)
	if !whole {
		s.miss(interval{From: s.Through, To: later(m.Through, m.Latest)})
	}
	s.Epoch, s.N, s.Solid = m.Epoch, m.N, int64(m.N)
	s.Through = later(s.Through, m.Through)
}

// resume judges a resume.
func (s *shard) resume(r events.Resume) verdict {
	switch {
	case r.Epoch < s.Epoch || r.Epoch == s.Epoch && r.N < s.N:
		return old
	case s.isNew() || r.Epoch == s.Epoch && r.After <= s.N || s.toldAgain(r):
		return next
	}
	return jump
}

// takeResume notes a resume that is not old. In an epoch that goes on it does not say
// how far in time messages are missing: the next manifest does.
func (s *shard) takeResume(r events.Resume) {
	switch {
	case s.isNew() && r.After == 0:
		s.Through, s.Solid = r.From, int64(r.N)
	case s.isNew() || r.Epoch == s.Epoch && s.solid(r.After) || s.toldAgain(r):
		s.Solid = int64(r.N)
	case r.Epoch > s.Epoch && r.After == 0:
		s.miss(interval{From: s.Through, To: r.From})
		s.Through, s.Solid = r.From, int64(r.N)
	default:
		s.Solid = -1
	}
	s.Epoch, s.N = r.Epoch, r.N
}

// toldAgain reports whether a new epoch tells all that was not told before.
func (s *shard) toldAgain(r events.Resume) bool {
	return r.Epoch > s.Epoch && r.After == 0 && !r.From.After(s.Through)
}

// miss notes that something may be missing. A relay that is telling that time again
// may have read it before what is missing was written.
func (s *shard) miss(iv interval) {
	s.Missing = add(s.Missing, iv)
	if s.asked != nil && overlap(*s.asked, iv) {
		s.asked = nil
	}
}

// ask returns what to ask a relay for, and whether that was asked for before and may
// still be told. What was missed until gone nobody can tell any more. It returns false if
// nothing else is Missing.
func (s *shard) ask(gone time.Time) (iv interval, again, ok bool) {
	i := slices.IndexFunc(s.Missing, func(m interval) bool { return m.To.After(gone) })
	if i < 0 {
		return interval{}, false, false
	}
	iv = s.Missing[i]
	if !gone.IsZero() {
		iv.From = later(iv.From, gone)
	}
	if end := iv.From.Add(maxReplay); !iv.From.IsZero() && iv.To.After(end) {
		iv.To = end
	}
	again = s.asked != nil && *s.asked == iv
	s.asked = &iv
	return iv, again, true
}

// replayed notes that a time has been told again, by a relay that began to read after it
// was asked. It reports whether that was what it was asked for last.
func (s *shard) replayed(told interval) bool {
	if s.asked == nil || told.From.After(s.asked.From) || told.To.Before(s.asked.To) {
		return false
	}
	s.Missing = subtract(s.Missing, *s.asked)
	s.asked = nil
	return true
}
