package state

import (
	"errors"
	"fmt"
	"testing"
)

type unavailable bool

func (unavailable) Error() string       { return "?" }
func (u unavailable) Unavailable() bool { return bool(u) }

func TestUnavailable(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("a mistake"), false},
		{unavailable(false), false},
		{fmt.Errorf("reading: %w", unavailable(true)), true},
		{errors.Join(errors.New("first"), unavailable(true)), true},
	} {
		if got := Unavailable(tt.err); got != tt.want {
			t.Errorf("%v: %t", tt.err, got)
		}
		if got := Failure(tt.err, "warn", "debug"); (got == "debug") != tt.want {
			t.Errorf("%v is logged by %s", tt.err, got)
		}
	}
}
