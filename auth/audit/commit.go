package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// commit writes a batch, makes it durable and answers it.
func (f *File) commit(batch []request) {
	err := f.prepare()
	for n := 0; err == nil && len(batch) > 0; {
		if n, err = f.commitSome(batch); err == nil {
			batch = batch[n:]
		}
	}
	if err != nil {
		answer(batch, err)
	}
}

// checkpoint writes one, if there are records that none is of.
func (f *File) checkpoint() error {
	if err := f.prepare(); err != nil {
		return err
	}
	if f.unsealed == 0 {
		return nil
	}
	_, err := f.commitSome(nil)
	return err
}

// answer answers those that were not answered.
func answer(batch []request, err error) {
	for _, r := range batch {
		select {
		case r.result <- err:
		default:
		}
	}
}

// commitSome writes as much of a batch as fits and returns how many that were; it answers
// them, unless there is an error. It adds a checkpoint if it is time, or if the
// batch is empty.
func (f *File) commitSome(batch []request) (int, error) {
	var text []byte
	at, taken, n := f.at, batch[:0:0], 0
	for ; n < len(batch) && len(text) < maxBatchBytes; n++ {
		more, next, err := f.line(text, at, batch[n].record)
		if err != nil {
			batch[n].result <- err // of this record alone
			continue
		}
		text, at, taken = more, next, append(taken, batch[n])
	}
	unsealed := f.unsealed + len(taken)
	var checkpoint *Checkpoint
	if unsealed > 0 && (len(batch) == 0 || unsealed >= f.options.Every) {
		more, next, c, err := f.seal(text, at)
		if err != nil {
			return 0, err
		}
		text, at, checkpoint, unsealed = more, next, c, 0
	}
	if len(text) == 0 {
		return n, nil
	}
	f.broken = true
	if _, err := f.out.Write(text); err != nil {
		return 0, err
	}
	if err := f.out.Sync(); err != nil {
		return 0, err
	}
	at.offset = f.at.offset + int64(len(text))
	f.at, f.unsealed, f.broken = at, unsealed, false
	answer(taken, nil)
	if checkpoint != nil {
		f.sealed(*checkpoint)
	}
	return n, nil
}

// line appends a record to text as the one after at.
func (f *File) line(text []byte, at end, r Record) ([]byte, end, error) {
	r.Version, r.Writer, r.Seq, r.Time = Version, f.options.Writer, at.seq+1, formatTime(f.options.Now())
	text, h, err := appendLine(text, at.hash, &r)
	if err != nil {
		return text, at, err
	}
	return text, end{seq: r.Seq, hash: h}, nil
}

// seal appends a checkpoint of at.
func (f *File) seal(text []byte, at end) ([]byte, end, *Checkpoint, error) {
	c, err := sign(f.options.Key, f.options.Writer, at.seq, at.hash, formatTime(f.options.Now()))
	if err != nil {
		return text, at, nil, err
	}
	text, at, err = f.line(text, at, Record{Kind: Sealed, Checkpoint: &c})
	return text, at, &c, err
}

// prepare removes what a write that failed has left, and begins a new file when the
// old one is full.
func (f *File) prepare() error {
	if f.broken {
		if err := errors.Join(f.out.Truncate(f.at.offset), f.out.Sync()); err != nil {
			return fmt.Errorf("after a write that failed: %w", err)
		}
		f.broken = false
	}
	if f.at.offset < f.options.MaxBytes {
		return nil
	}
	return f.rotate()
}

// rotate begins a new file with a checkpoint of the old one, by which its beginning is
// known when the old one has been moved to an archive.
func (f *File) rotate() error {
	path := segmentPath(f.options.Dir, f.options.Writer, f.at.seq+1)
	next, err := f.options.open(path)
	if err != nil {
		return err
	}
	text, at, checkpoint, err := f.seal(nil, f.at)
	if err == nil {
		err = next.Truncate(0) // of an attempt that failed
	}
	if err == nil {
		_, err = next.Write(text)
	}
	if err == nil {
		err = next.Sync()
	}
	if err == nil {
		err = syncDir(f.options.Dir)
	}
	if err != nil {
		return errors.Join(err, next.Close(), os.Remove(path))
	}
	old := f.out
	at.offset = int64(len(text))
	f.out, f.at, f.unsealed = next, at, 0
	f.sealed(*checkpoint)
	// All of it is durable: that it cannot be closed changes nothing for the records.
	_ = old.Close()
	return nil
}

// begin finds the end of the chain, opens its file and records the start.
func (f *File) begin() error {
	found, err := segmentsOf(f.options.Dir, f.options.Writer)
	if err != nil {
		return err
	}
	started := Record{Kind: Started}
	path := segmentPath(f.options.Dir, f.options.Writer, 1)
	if len(found) > 0 {
		path = found[len(found)-1].path
		if started.Dropped, err = f.recover(found); err != nil {
			return err
		}
	}
	if f.out, err = f.options.open(path); err != nil {
		return err
	}
	if err := syncDir(f.options.Dir); err != nil {
		return err
	}
	result := make(chan error, 1)
	f.commit([]request{{started, result}})
	return <-result
}

// recover finds where the chain goes on and cuts off what is after it.
func (f *File) recover(found []segment) (*Dropped, error) {
	newest := found[len(found)-1]
	var rest error
	f.at, rest = endOf(newest, end{})
	if f.at.seq == 0 && newest.first > 1 {
		// The crash was between a new file and its first line.
		if len(found) < 2 {
			return nil, fmt.Errorf("%s has no record, and there is no file before it", filepath.Base(newest.path))
		}
		before, err := endOf(found[len(found)-2], end{})
		if err != nil || before.seq != newest.first-1 {
			return nil, fmt.Errorf("%s does not end where the next file begins: %w", filepath.Base(found[len(found)-2].path), err)
		}
		f.at = end{seq: before.seq, hash: before.hash}
	}
	if rest == nil {
		return nil, nil
	}
	return cutOff(newest.path, f.at.offset, rest)
}

// cutOff moves what is in a file after an offset into another beside it.
func cutOff(path string, offset int64, why error) (*Dropped, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	torn := text[offset:]
	if len(torn) > maxBatchBytes+2*MaxLine {
		return nil, fmt.Errorf("%s: %d bytes from %d on are not in order, more than a crash leaves: %w", filepath.Base(path), len(torn), offset, why)
	}
	beside, err := os.OpenFile(fmt.Sprintf("%s.%d.torn", path, offset), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = beside.Write(torn)
	if err := errors.Join(err, beside.Sync(), beside.Close(), syncDir(filepath.Dir(path))); err != nil {
		return nil, err
	}
	if err := os.Truncate(path, offset); err != nil {
		return nil, err
	}
	h := sha256.Sum256(torn)
	return &Dropped{Bytes: int64(len(torn)), SHA256: hex.EncodeToString(h[:])}, nil
}

// syncDir makes names durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
