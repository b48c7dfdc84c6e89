package membership

import "time"

// sight says whether this process can judge others by their heartbeats. It
// cannot while it does not read them, while its own cannot be written (theirs
// cannot either), or after it stood still. Then everybody gets a full TTL to
// be heard again.
type sight struct {
	ttl time.Duration
	// read is when the table was last read.
	read time.Time
	// blind says that reads fail, mute that heartbeats do.
	blind, mute bool
	// since is when both worked again.
	since time.Time
	// judged is for how long others could be judged up to passed.
	judged time.Duration
	passed time.Time
}

// judgedBy returns for how long others could be judged by now. Time in which the
// process stood still does not count.
func (s *sight) judgedBy(now time.Time) time.Duration {
	if s.never() || s.blind || s.mute {
		return s.judged
	}
	from, to := s.since.Add(s.ttl), s.read.Add(s.ttl)
	if from.Before(s.passed) {
		from = s.passed
	}
	if to.After(now) {
		to = now
	}
	return s.judged + max(0, to.Sub(from))
}

// pass counts the time up to now, before what follows changes whether others can be
// judged.
func (s *sight) pass(now time.Time) { s.judged, s.passed = s.judgedBy(now), now }

// never tells that the table was not read yet.
func (s *sight) never() bool { return s.read.IsZero() }

func (s *sight) readDone(now time.Time) {
	s.pass(now)
	if s.blind || now.Sub(s.read) > s.ttl { // also the first time
		s.since = now
	}
	s.blind, s.read = false, now
}

// readFailed, and beatFailed, report whether that is new.
func (s *sight) readFailed(now time.Time) bool {
	s.pass(now)
	was := s.blind
	s.blind = true
	return !was
}

func (s *sight) beatDone(now time.Time) (recovered bool) {
	s.pass(now)
	recovered = s.mute
	if recovered {
		s.since = now
	}
	s.mute = false
	return recovered
}

func (s *sight) beatFailed(now time.Time) bool {
	s.pass(now)
	was := s.mute
	s.mute = true
	return !was
}

func (s *sight) frozen(now time.Time) bool {
	return s.never() || s.blind || s.mute || now.Sub(s.read) > s.ttl || now.Sub(s.since) < s.ttl
}

// outlived tells that a peer last heard of at the given time is dead, by a read
// that was begun at asked.
func (s *sight) outlived(asked, heard time.Time, ttl time.Duration) bool {
	return !s.blind && !s.mute && asked.Sub(heard) > ttl && asked.Sub(s.since) > max(ttl, s.ttl)
}
