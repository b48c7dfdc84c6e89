package audit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Query says which events are wanted. What is empty says nothing.
type Query struct {
	From, To  time.Time // To itself is not wanted
	ID        string
	Tenant    string // of the actor or of the resource
	Principal string
	Action    string
	// Object is the id or the CID of the resource.
	Object  string
	IP      string
	Verdict Verdict
	// Limit is how many are wanted, the newest. Zero means 1000.
	Limit int
}

// maxOpen is how many intents may be without an outcome at one moment.
const maxOpen = 1 << 20

// Found is an event with what came of it.
type Found struct {
	Writer   string    `json:"writer"`
	Seq      int64     `json:"seq"`
	Time     string    `json:"time"`
	Kind     Kind      `json:"kind"`
	ID       string    `json:"id,omitempty"`
	Event    *Event    `json:"event,omitempty"`
	Result   Result    `json:"result"`
	Attempts *Attempts `json:"attempts,omitempty"`
}

// Search returns the events that a query wants, the oldest first, and how many lines
// could not be read. It believes the files: Verify tells whether they are as they were
// written. An intent without outcome is Unknown, also while it is still being done.
func Search(dir string, q Query) (found []Found, unread int, err error) {
	all, err := Files(dir)
	if err != nil {
		return nil, 0, err
	}
	return SearchParts(all, q)
}

// SearchParts is Search for records that are elsewhere. The parts are ordered by writer, and
// those of each as they follow each other.
func SearchParts(all []Part, q Query) (found []Found, unread int, err error) {
	if q.Limit <= 0 {
		q.Limit = 1000
	}
	s := &search{query: q}
	for i, part := range all {
		if i == 0 || part.Writer != all[i-1].Writer {
			s.unfinished()
			s.open, s.early = make(map[string]Found), make(map[string]Result)
		}
		err := part.Lines(func(text []byte, _ int) error {
			e, err := parseLine(text)
			if err != nil {
				unread++
				return nil
			}
			return s.record(e.record)
		})
		switch {
		case errors.Is(err, errTorn):
		case errors.Is(err, errLong):
			unread++
		case err != nil:
			return nil, unread, err
		}
	}
	s.unfinished()
	s.shorten(q.Limit)
	return s.found, unread, nil
}

// search joins intents and outcomes of one writer after another.
type search struct {
	query Query
	found []Found
	open  map[string]Found
	early map[string]Result // outcomes that are before their intents, as two were appended at once
}

func (s *search) record(r Record) error {
	f := Found{Writer: r.Writer, Seq: r.Seq, Time: r.Time, Kind: r.Kind, ID: r.ID, Event: r.Event, Attempts: r.Attempts}
	switch {
	case r.Kind == Started:
		s.unfinished()
	case r.Kind == Intent && r.Event != nil:
		if result, known := s.early[r.ID]; known {
			delete(s.early, r.ID)
			f.Result = result
			s.add(f)
			return nil
		}
		s.open[r.ID] = f
	case r.Kind == Outcome && r.Result != nil:
		begun, known := s.open[r.ID]
		if !known {
			s.early[r.ID] = *r.Result
			break
		}
		delete(s.open, r.ID)
		begun.Result = *r.Result
		s.add(begun)
	case r.Kind == Done && r.Event != nil && r.Result != nil:
		f.Result = *r.Result
		s.add(f)
	case r.Kind == Failed && r.Attempts != nil:
		f.Result.Verdict = Failure
		s.add(f)
	}
	if len(s.open) > maxOpen || len(s.early) > maxOpen {
		return fmt.Errorf("more than %d events are without an outcome at once", maxOpen)
	}
	return nil
}

// unfinished adds the intents that will have no outcome any more.
func (s *search) unfinished() {
	for _, f := range s.open {
		f.Result.Verdict = Unknown
		s.add(f)
	}
	clear(s.open)
	clear(s.early)
}

func (s *search) add(f Found) {
	if !s.query.wants(f) {
		return
	}
	s.found = append(s.found, f)
	if len(s.found) >= 2*s.query.Limit {
		s.shorten(s.query.Limit)
	}
}

// shorten sorts what was found and keeps the newest.
func (s *search) shorten(limit int) {
	slices.SortFunc(s.found, func(a, b Found) int {
		if c := strings.Compare(a.Time, b.Time); c != 0 {
			return c
		}
		if c := strings.Compare(a.Writer, b.Writer); c != 0 {
			return c
		}
		return cmp.Compare(a.Seq, b.Seq)
	})
	if extra := len(s.found) - limit; extra > 0 {
		s.found = slices.Delete(s.found, 0, extra)
	}
}

func (q *Query) wants(f Found) bool {
	switch {
	case !q.From.IsZero() && f.Time < formatTime(q.From), !q.To.IsZero() && f.Time >= formatTime(q.To):
		return false
	case q.ID != "" && q.ID != f.ID, q.Verdict != "" && q.Verdict != f.Result.Verdict:
		return false
	case f.Event == nil:
		return q.Tenant == "" && q.Principal == "" && q.Action == "" && q.Object == "" &&
			(q.IP == "" || f.Attempts.Network == q.IP)
	}
	a, r := &f.Event.Actor, &f.Event.Resource
	return (q.Tenant == "" || q.Tenant == a.Tenant || q.Tenant == r.Tenant) &&
		(q.Principal == "" || q.Principal == a.Principal) &&
		(q.Action == "" || q.Action == f.Event.Action) &&
		(q.Object == "" || q.Object == r.ID || q.Object == r.CID || q.Object == f.Result.ResourceID) &&
		(q.IP == "" || q.IP == a.IP)
}
