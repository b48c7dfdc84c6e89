package scylla

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// DecideTries is how often Decide sends a conditional update whose outcome is not known.
const DecideTries = 6

// casPause is the longest pause after the first of them; it doubles each time.
const casPause = 20 * time.Millisecond

// Decide makes a conditional update that may be made any number of times, until its outcome is
// known: not which try was applied, but that one was, or that none will be. Whoever calls it reads,
// at SERIAL, what has become of it. db is a *DB, or what stands before one. After an error the
// update may have been applied, or may yet be, unless NotSent or Rejected is true of it.
func Decide(ctx context.Context, db interface {
	CAS(ctx context.Context, s Statement) (applied bool, now map[string]any, err error)
	NotServed(err error)
}, s Statement,
) error {
	ctx = WithTrail(ctx)
	for pause := casPause; ; pause *= 2 {
		_, _, err := db.CAS(ctx, s)
		switch {
		case err == nil:
			return nil
		case NotSent(err) || Rejected(err) || Permanent(err) || pause >= casPause<<(DecideTries-1):
			db.NotServed(err)
			return err
		}
		select {
		case <-ctx.Done():
			db.NotServed(err)
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(rand.N(pause)):
		}
	}
}
