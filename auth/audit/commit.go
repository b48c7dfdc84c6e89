package audit

import "errors"

// lines are what is written at once.
type lines struct {
	text       []byte
	first      int64
	after      End         // of the chain, when they are written
	unsealed   int         // records since the last checkpoint, then
	checkpoint *Checkpoint // if there is one among them
}

// commit writes a batch, makes it durable and answers it. The error is of what was not
// written.
func (c *Chain) commit(batch []request) error {
	err := c.prepare()
	for n := 0; err == nil && len(batch) > 0; {
		if n, err = c.commitSome(batch, false); err == nil {
			batch = batch[n:]
		}
	}
	if err != nil {
		answer(batch, err)
	}
	return err
}

// checkpoint writes one, if there are records that none is of.
func (c *Chain) checkpoint() error {
	if err := c.prepare(); err != nil {
		return err
	}
	if c.unsealed == 0 {
		return nil
	}
	_, err := c.commitSome(nil, true)
	return err
}

// prepare writes again what may have been written, and begins a new piece of a log when the
// old one is full.
func (c *Chain) prepare() error {
	if c.open != nil {
		if err := c.put(*c.open); err != nil {
			return err
		}
	}
	if !c.log.Full() {
		return nil
	}
	_, err := c.commitSome(nil, true)
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
// them, unless there is an error. It adds a checkpoint if it is time, or if seal says so.
func (c *Chain) commitSome(batch []request, seal bool) (int, error) {
	l := lines{first: c.at.seq + 1, after: c.at}
	taken, n := batch[:0:0], 0
	for ; n < len(batch) && len(l.text) < c.options.MaxBytes; n++ {
		if err := c.line(&l, batch[n].record); err != nil {
			batch[n].result <- err // of this record alone
			continue
		}
		taken = append(taken, batch[n])
	}
	l.unsealed = c.unsealed + len(taken)
	if seal || l.unsealed > 0 && l.unsealed >= c.options.Every {
		if err := c.seal(&l); err != nil {
			return 0, err
		}
	}
	if len(l.text) == 0 {
		return n, nil
	}
	if err := c.put(l); err != nil {
		return 0, err
	}
	answer(taken, nil)
	return n, nil
}

// put writes lines, after which the chain goes on after them.
func (c *Chain) put(l lines) error {
	if err := c.log.Write(l.text, l.first); err != nil {
		if errors.Is(err, ErrOpen) {
			c.open = &l // and remains that until a write of it works
		}
		return err
	}
	c.at, c.unsealed, c.open = l.after, l.unsealed, nil
	if l.checkpoint != nil {
		c.sealed(*l.checkpoint)
	}
	return nil
}

// line appends a record.
func (c *Chain) line(l *lines, r Record) error {
	r.Version, r.Writer, r.Seq, r.Time = Version, c.options.Writer, l.after.seq+1, formatTime(c.options.Now())
	text, h, err := appendLine(l.text, l.after.hash, &r)
	if err != nil {
		return err
	}
	l.text, l.after = text, End{seq: r.Seq, hash: h}
	return nil
}

// seal appends a checkpoint of what is before it.
func (c *Chain) seal(l *lines) error {
	checkpoint, err := sign(c.options.Key, c.options.Writer, l.after.seq, l.after.hash, formatTime(c.options.Now()))
	if err != nil {
		return err
	}
	if err := c.line(l, Record{Kind: Sealed, Checkpoint: &checkpoint}); err != nil {
		return err
	}
	l.checkpoint, l.unsealed = &checkpoint, 0
	return nil
}
