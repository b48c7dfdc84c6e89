package migrate

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// listed is how many examples of each kind a report names.
	listed = 100
	// listedText is how long a text in a list may be, in bytes.
	listedText = 1 << 10
)

// BadRecord is a record of the source, or a row of the target, that is no pin.
type BadRecord struct {
	// At is where it is: "line 7", or the key.
	At    string `json:"at"`
	Error string `json:"error"`
}

// badRecords counts records that are no pins, and names the first of them.
type badRecords struct {
	n    int64
	list []BadRecord
}

func (b *badRecords) add(at string, err error) {
	b.n++
	if len(b.list) < listed {
		b.list = append(b.list, BadRecord{At: cut(at), Error: cut(err.Error())})
	}
}

// addAll adds the others behind those that are there.
func (b *badRecords) addAll(others badRecords) {
	b.n += others.n
	b.list = append(b.list, others.list[:min(len(others.list), listed-len(b.list))]...)
}

// cut bounds a text that comes from outside.
func cut(text string) string {
	if len(text) > listedText {
		return text[:listedText] + "…"
	}
	return text
}

// Report is what a run has done. All counts are of the whole run, also if
// several processes had a part in it. Records is the sum of Copied, Kept, Bad,
// TooLarge and Duplicates.
type Report struct {
	// Source is the ID of the source.
	Source string `json:"source"`
	Run    int64  `json:"run"`
	// DryRun says that nothing was written. The counts are what would have been.
	DryRun bool `json:"dry_run,omitempty"`
	// Bulk is how the last part of the run was written, and Reason why.
	Bulk   bool   `json:"bulk"`
	Reason string `json:"reason"`
	// Complete says that the run has come to its end.
	Complete bool `json:"complete"`
	// Resumed says that the run was begun by another process, and ResumedFrom
	// is the record after which this one went on.
	Resumed     bool   `json:"resumed"`
	ResumedFrom int64  `json:"resumed_from"`
	Change      Change `json:"change"`
	// Total is how many records the source has, negative if nobody knows.
	Total   int64 `json:"total"`
	Records int64 `json:"records"`
	// Copied is how many pins were written. Of these Replaced took the place of
	// a pin that was there, by conditional writes.
	Copied   int64 `json:"copied"`
	Replaced int64 `json:"replaced"`
	// Kept is how many pins the pinset had already, the same or preferred. A
	// run with conditional writes that was stopped finds some of its own here.
	Kept int64 `json:"kept"`
	// Different is how many of the kept pins the source has otherwise. Verify
	// names them.
	Different int64 `json:"different"`
	Bad       int64 `json:"bad"`
	// BadRecords are the first of them.
	BadRecords []BadRecord `json:"bad_records,omitempty"`
	// TooLarge is how many pins were left out because they are larger than
	// MaxPinBytes. TooLargePins are the first of them.
	TooLarge     int64      `json:"too_large"`
	TooLargePins []LargePin `json:"too_large_pins,omitempty"`
	MaxPinBytes  int        `json:"max_pin_bytes"`
	// Duplicates is how many records gave way to a later one of the same CID
	// that was close behind.
	Duplicates int64 `json:"duplicates"`
	// Removed is how many pins of earlier runs the source did not have any more.
	Removed  int64     `json:"removed"`
	Notes    []string  `json:"notes,omitempty"`
	Warnings []string  `json:"warnings,omitempty"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"`
	// Seconds is how long this process took, and PinsPerSecond what it wrote and
	// kept in a second.
	Seconds       float64 `json:"seconds"`
	PinsPerSecond float64 `json:"pins_per_second"`
}

// StoredReport returns the report that was stored with m, which may be one of a
// run that has not ended.
func StoredReport(m state.Migration) (*Report, error) {
	var r Report
	if err := json.Unmarshal([]byte(m.Report), &r); err != nil {
		return nil, fmt.Errorf("reading the report of the migration of %s: %w", m.ID, err)
	}
	return &r, nil
}

// takeOver continues with what an earlier process has counted. The numbers that
// m has itself are taken from there.
func (r *Report) takeOver(m state.Migration) {
	r.Resumed, r.ResumedFrom, r.Started = true, m.Read, m.Started
	r.Records, r.Copied, r.Kept, r.Bad, r.Removed = m.Read, m.Copied, m.Kept, m.Bad, m.Removed
	old, err := StoredReport(m)
	if err != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("of the first %d records only the counts are known: %v", m.Read, err))
		return
	}
	r.Replaced, r.Different, r.Duplicates = old.Replaced, old.Different, old.Duplicates
	r.BadRecords = old.BadRecords[:min(len(old.BadRecords), listed)]
	r.TooLarge, r.TooLargePins = old.TooLarge, old.TooLargePins[:min(len(old.TooLargePins), listed)]
}

// addLarge adds pins that are too large.
func (r *Report) addLarge(more largePins) {
	large := largePins{n: r.TooLarge, list: r.TooLargePins}
	large.addAll(more)
	r.TooLarge, r.TooLargePins = large.n, large.list
}

// note adds what the user should know.
func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}
