package scylla

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/gocql/gocql"
)

// decided answers conditional updates with the errors that it has, one after the other.
type decided struct {
	errs      []error
	sent      int
	notServed error
}

func (d *decided) CAS(context.Context, Statement) (bool, map[string]any, error) {
	err := d.errs[min(d.sent, len(d.errs)-1)]
	d.sent++
	return err == nil, nil, err
}

func (d *decided) NotServed(err error) { d.notServed = err }

// TestDecide: an update is sent until its outcome is known, and no more than so often.
func TestDecide(t *testing.T) {
	unknown, gone := gocql.ErrTimeoutNoResponse, errors.New("gone")
	for _, tt := range []struct {
		name string
		left bool
		errs []error
		sent int
		want error
	}{
		{"at once", false, []error{nil}, 1, nil},
		{"at last", false, []error{unknown, unknown, unknown, unknown, unknown, nil}, DecideTries, nil},
		{"never", false, []error{unknown}, DecideTries, unknown},
		{"not sent", false, []error{unknown, gocql.ErrNoConnections}, 2, gocql.ErrNoConnections},
		{"hopeless", false, []error{&PermanentError{Text: "no right"}}, 1, &PermanentError{Text: "no right"}},
		{"whose caller has left", true, []error{unknown}, 1, gone},
	} {
		synctest.Test(t, func(t *testing.T) {
			db := &decided{errs: tt.errs}
			ctx, leave := context.WithCancelCause(t.Context())
			defer leave(nil)
			if tt.left {
				leave(gone)
			}
			err := Decide(ctx, db, Bind("UPDATE"))
			var permanent *PermanentError
			if !errors.Is(err, tt.want) && (!errors.As(err, &permanent) || permanent.Text != "no right") {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
			if db.sent != tt.sent {
				t.Errorf("%s: sent %d times, want %d", tt.name, db.sent, tt.sent)
			}
			if (db.notServed != nil) != (tt.want != nil) {
				t.Errorf("%s: told of %v", tt.name, db.notServed)
			}
		})
	}
}
