package drift

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Report is what a sweep has found. A pin is counted once.
type Report struct {
	Began, Ended time.Time
	// Desired is how many pins this peer is to hold.
	Desired int64
	// Missing, Extra and WrongMode are how many drift, by kind.
	Missing, Extra, WrongMode int64
	// InFlight are those that are not counted as they have changed a moment ago or are
	// worked on, Kept those that IPFS is not asked to unpin, by configuration, and
	// Unreadable those whose pin cannot be decoded.
	InFlight, Kept, Unreadable int64
	// Others are pins that IPFS has and that this cluster did not make, as far as it
	// knows: those of other users of the same daemon. They are no drift. Of what is in
	// flight or kept, which IPFS may have, it is not known: it may be as many more.
	Others int64
	// Unequal is in how many buckets the pins were asked for one by one.
	Unequal int
}

// Drift is how many pins are not as they should be.
func (r Report) Drift() int64 { return r.Missing + r.Extra + r.WrongMode }

// Ratio is the drift as a share of what is desired. Where nothing is, it is the drift.
func (r Report) Ratio() float64 { return float64(r.Drift()) / float64(max(1, r.Desired)) }

// Progress is how far a sweep has come.
type Progress struct {
	// Listed is how many pins IPFS has listed so far. Done is the share of the rest of the
	// work, from 0 to 1.
	Listed int64
	Done   float64
}

// sweep is one comparison of everything.
type sweep struct {
	m      *Meter
	key    key
	kubo   digests
	wanted digests
	// passed is by bucket.
	passed   [state.Buckets]passed
	report   Report
	progress Progress
}

// passed are CIDs of a bucket that are not compared.
type passed struct{ inFlight, kept, unreadable int64 }

func (p *passed) add(s stand) {
	switch s {
	case inFlight:
		p.inFlight++
	case kept:
		p.kept++
	case unreadable:
		p.unreadable++
	}
}

// Sweep compares everything that this peer has to do with, with what its IPFS daemon has
// pinned. After an error nothing is known: what was found until then would be too little.
func (m *Meter) Sweep(ctx context.Context) (Report, error) {
	s := &sweep{m: m, key: newKey(), report: Report{Began: m.now()}}
	m.tell(s.progress)
	err := s.list(ctx)
	if err == nil {
		err = s.addUp(ctx)
	}
	if err == nil {
		err = s.compare(ctx)
	}
	if err != nil {
		m.opts.Metrics.gaveUp()
		m.failed(ctx)
		return Report{}, fmt.Errorf("comparing the pinset with what IPFS has pinned: %w", err)
	}
	s.report.Ended = m.now()
	s.progress.Done = 1
	m.tell(s.progress)
	m.opts.Metrics.swept(s.report)
	m.remember(&s.wanted)
	return s.report, nil
}

// list adds up what IPFS has pinned.
func (s *sweep) list(ctx context.Context) error {
	for _, mode := range []api.PinMode{api.PinModeDirect, api.PinModeRecursive} {
		err := s.m.opts.Kubo.List(ctx, mode, func(c api.Cid) error {
			s.kubo.add(s.key, c, mode)
			if s.progress.Listed++; s.progress.Listed%tellEvery == 0 {
				s.m.tell(s.progress)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tellEvery is after how many pins it is told how far a list has come.
const tellEvery = 1 << 12

// addUp adds up what is desired.
func (s *sweep) addUp(ctx context.Context) error {
	return s.m.walk(ctx, 0, state.Buckets, func(int) bool { return true }, func(c api.Cid, e expected) error {
		bucket := state.Bucket(c)
		if e.stand == desired {
			s.wanted.add(s.key, c, e.mode)
		}
		s.passed[bucket].add(e.stand)
		s.at(bucket, 0)
		return nil
	})
}

// at says that a bucket was come to, in the first or the second half of the work.
func (s *sweep) at(bucket int, half float64) {
	if done := (half + float64(bucket)/state.Buckets) / 2; done > s.progress.Done {
		s.progress.Done = done
		s.m.tell(s.progress)
	}
}

// maxParts bounds the listings of the buckets that are not equal: beyond it those between
// them are listed, too, and passed over.
const maxParts = 64

// compare goes through the buckets that are not equal.
func (s *sweep) compare(ctx context.Context) error {
	type part struct{ from, below int }
	var parts []part
	for bucket := range s.kubo {
		if s.kubo[bucket] == s.wanted[bucket] {
			s.report.Desired += int64(s.wanted[bucket].count)
			s.pass(s.passed[bucket])
			continue
		}
		s.report.Unequal++
		if last := len(parts) - 1; last >= 0 && (parts[last].below == bucket || len(parts) == maxParts) {
			parts[last].below = bucket + 1
		} else {
			parts = append(parts, part{bucket, bucket + 1})
		}
	}
	for _, p := range parts {
		if err := s.comparePart(ctx, p.from, p.below); err != nil {
			return err
		}
	}
	return nil
}

func (s *sweep) pass(p passed) {
	s.report.InFlight += p.inFlight
	s.report.Kept += p.kept
	s.report.Unreadable += p.unreadable
}

// comparePart asks IPFS for the pins in some buckets, one by one.
func (s *sweep) comparePart(ctx context.Context, from, below int) error {
	unequal := func(bucket int) bool { return s.kubo[bucket] != s.wanted[bucket] }
	had := make([]int64, below-from) // by bucket, what IPFS has, or may have, for this cluster
	err := s.m.walk(ctx, from, below, unequal, func(c api.Cid, e expected) error {
		bucket := state.Bucket(c)
		kind, has, e, err := s.m.judge(ctx, c, e)
		if err != nil {
			return err
		}
		s.at(bucket, 1)
		var p passed
		p.add(e.stand)
		s.pass(p)
		if has || p != (passed{}) {
			had[bucket-from]++
		}
		if e.stand == desired {
			s.report.Desired++
		}
		return s.found(Finding{Cid: c, Kind: kind})
	})
	if err != nil {
		return err
	}
	for bucket := from; bucket < below; bucket++ {
		if unequal(bucket) {
			s.report.Others += max(0, int64(s.kubo[bucket].count)-had[bucket-from])
		}
	}
	return nil
}

// found counts what drifts.
func (s *sweep) found(f Finding) error {
	switch f.Kind {
	case Missing:
		s.report.Missing++
	case Extra:
		s.report.Extra++
	case WrongMode:
		s.report.WrongMode++
	default:
		return nil
	}
	if s.m.opts.Found == nil {
		return nil
	}
	return s.m.opts.Found(f)
}
