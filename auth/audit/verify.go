package audit

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"
)

// VerifyOptions are the options of Verify.
type VerifyOptions struct {
	// Keys are the public keys whose checkpoints count.
	Keys []ed25519.PublicKey
	// Known are copies of checkpoints. Without them a chain that was cut is not found, nor
	// a writer that is missing.
	Known []Checkpoint
	// Archived: older files of a writer may have been moved away. Then what is left
	// must begin with a checkpoint.
	Archived bool
	// Expired: records from before this moment may be gone. Zero means that none may. A copy of
	// a later checkpoint, whose record is gone, is a problem also at the beginning of a chain.
	Expired time.Time
	// Every is how many records may be without a checkpoint. Zero means any number.
	Every int64
}

// mayBeGone reports whether a record of this time may have expired.
func (o *VerifyOptions) mayBeGone(at string) bool {
	return !o.Expired.IsZero() && at < formatTime(o.Expired)
}

// Verify reads the files of all writers in a directory and compares them with themselves,
// with the signatures, and with the copies of checkpoints. The error is of reading.
func Verify(dir string, o VerifyOptions) (Report, error) {
	all, err := Files(dir)
	if err != nil {
		return Report{}, err
	}
	return VerifyParts(all, o)
}

// VerifyParts is Verify for records that are elsewhere. The parts are ordered by writer, and
// those of each as they follow each other.
func VerifyParts(all []Part, o VerifyOptions) (Report, error) {
	var report Report
	known := make(map[string]map[int64]Checkpoint)
	for _, c := range o.Known {
		if err := c.Verify(o.Keys); err != nil {
			report.complain(Problem{Writer: c.Writer, What: fmt.Sprintf("a copy of the checkpoint at %d: %v", c.Seq, err)})
			continue
		}
		if known[c.Writer] == nil {
			known[c.Writer] = make(map[int64]Checkpoint)
		}
		if other, twice := known[c.Writer][c.Seq]; twice && other.Hash != c.Hash {
			report.complain(Problem{Writer: c.Writer, What: fmt.Sprintf("two checkpoints at %d are of different records", c.Seq)})
		}
		known[c.Writer][c.Seq] = c
	}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Writer == all[0].Writer {
			n++
		}
		v := &verifier{options: o, report: &report, known: known[all[0].Writer], w: WriterReport{Writer: all[0].Writer, Files: n}}
		if err := v.chain(all[:n]); err != nil {
			return report, err
		}
		delete(known, all[0].Writer)
		all = all[n:]
	}
	for writer, checkpoints := range known {
		for _, c := range checkpoints {
			if !o.mayBeGone(c.Time) {
				report.complain(Problem{Writer: writer, What: "there are checkpoints of it, and no records"})
				break
			}
		}
	}
	return report, nil
}

// verifier goes along one chain.
type verifier struct {
	options VerifyOptions
	report  *Report
	known   map[int64]Checkpoint
	w       WriterReport

	at       End
	lost     bool // the line before could not be read
	unsealed int64
}

func (v *verifier) chain(parts []Part) error {
	for i, p := range parts {
		complain := func(line int, format string, args ...any) {
			v.report.complain(Problem{p.Writer, p.Name, line, fmt.Sprintf(format, args...)})
		}
		lines := 0
		err := p.Lines(func(text []byte, number int) error {
			lines = number
			e, err := parseLine(text)
			if err != nil {
				complain(number, "%v", err)
				v.lost = true
				return nil
			}
			if v.w.First == 0 && v.options.mayBeGone(e.record.Time) {
				return nil
			}
			if number == 1 && p.First > 0 && e.record.Seq != p.First {
				complain(number, "the record has the number %d, and the file the name of %d", e.record.Seq, p.First)
			}
			if p.First == 0 && e.record.Seq != int64(number) {
				complain(number, "the record has the number %d, and the place of %d", e.record.Seq, number)
			}
			v.entry(e, func(format string, args ...any) { complain(number, format, args...) })
			return nil
		})
		switch {
		case errors.Is(err, errTorn) && i == len(parts)-1:
			v.w.Torn = true
		case errors.Is(err, errTorn), errors.Is(err, errLong):
			complain(lines+1, "%v", err)
			v.lost = true
		case err != nil:
			return err
		}
	}
	v.w.Last = v.at.seq
	for seq, c := range v.known {
		switch {
		case v.options.mayBeGone(c.Time) && (v.w.First == 0 || seq < v.w.First):
		case seq > v.at.seq:
			v.report.complain(Problem{Writer: v.w.Writer, What: fmt.Sprintf("the chain ends at %d, and there is a checkpoint at %d: records were cut off", v.at.seq, seq)})
		default:
			v.report.complain(Problem{Writer: v.w.Writer, What: fmt.Sprintf("there is a checkpoint at %d and no such record", seq)})
		}
	}
	v.report.Writers = append(v.report.Writers, v.w)
	return nil
}

// entry looks at the next record.
func (v *verifier) entry(e entry, complain func(string, ...any)) {
	r := &e.record
	changed := e.hash != e.sum
	if changed {
		complain("record %d was changed: its hash is another", r.Seq)
	}
	if r.Writer != v.w.Writer {
		complain("the record is of the writer %s", r.Writer)
	}
	switch {
	case v.w.First == 0:
		v.w.First = r.Seq
		v.first(e, complain)
	case v.lost:
	case r.Seq != v.at.seq+1:
		complain("record %d follows %d", r.Seq, v.at.seq)
	case e.prev != v.at.hash:
		complain("record %d does not follow the one before, which was another", r.Seq)
	}
	v.lost = false
	v.at = End{seq: r.Seq, hash: e.hash}
	if c, known := v.known[r.Seq]; known {
		delete(v.known, r.Seq)
		if c.Hash != e.sum.String() {
			complain("record %d is another than was signed, by a copy of the checkpoint", r.Seq)
		}
	}
	v.unsealed++
	switch r.Kind {
	case Started:
		v.w.Starts++
		if r.Dropped != nil {
			v.w.Dropped++
		}
	case Sealed:
		if err := v.checkpoint(e); err != nil {
			complain("%v", err)
			break
		}
		v.w.Sealed, v.unsealed = r.Checkpoint.Seq, 0
	}
	if v.options.Every > 0 && v.unsealed == v.options.Every+1 {
		complain("no checkpoint in %d records", v.options.Every)
	}
}

// first looks at how a chain begins.
func (v *verifier) first(e entry, complain func(string, ...any)) {
	switch {
	case e.record.Seq == 1 && e.prev != (hash{}):
		complain("the first record follows another")
	case e.record.Seq == 1, !v.options.Expired.IsZero():
	case !v.options.Archived:
		complain("the chain begins at %d: the records before it are missing", e.record.Seq)
	case e.record.Kind != Sealed:
		complain("the chain begins at %d without a checkpoint", e.record.Seq)
	}
	for seq := range v.known {
		if v.options.Archived && seq < e.record.Seq {
			delete(v.known, seq)
		}
	}
}

// checkpoint checks one of the chain: it is of the record before it.
func (v *verifier) checkpoint(e entry) error {
	c := e.record.Checkpoint
	switch {
	case c == nil:
		return errors.New("the checkpoint is missing in its record")
	case c.Writer != e.record.Writer || c.Seq != e.record.Seq-1:
		return fmt.Errorf("the checkpoint is of record %d of %s", c.Seq, c.Writer)
	case c.Hash != e.prev.String():
		return fmt.Errorf("record %d is another than was signed", c.Seq)
	}
	return c.Verify(v.options.Keys)
}
