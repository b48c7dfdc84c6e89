package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gocql/gocql"
)

// TestScanReaders shows that a scan grows with the shards, and that its memory has a
// bound.
func TestScanReaders(t *testing.T) {
	for shards, want := range map[int]int{1: 4, 2: 4, 3: 6, 24: 48, 128: 256, 129: 256, 10_000: 256} {
		if got := scanReaders(shards); got != want {
			t.Errorf("%d shards: %d readers, want %d", shards, got, want)
		}
	}
}

// TestMayHalve shows which pieces of a scan are cut in two: those that servers fail
// at, as often as it takes, and those that are late, a few times.
func TestMayHalve(t *testing.T) {
	for _, tt := range []struct {
		err       error
		late      int
		wantLate  int
		wantAgain bool
	}{
		{&gocql.RequestErrReadFailure{}, 0, 0, true},
		{&gocql.RequestErrReadFailure{}, maxHalvings, maxHalvings, true},
		{&gocql.RequestErrReadTimeout{}, 0, 1, true},
		{&gocql.RequestErrReadTimeout{}, maxHalvings - 1, maxHalvings, true},
		{&gocql.RequestErrReadTimeout{}, maxHalvings, maxHalvings + 1, false},
		{gocql.ErrTimeoutNoResponse, 0, 1, true},
		{gocql.ErrTimeoutNoResponse, maxHalvings, maxHalvings + 1, false},
		{gocql.ErrNoConnections, 0, 0, false},
		{&gocql.RequestErrUnavailable{}, 0, 0, false},
		{&gocql.RequestErrWriteTimeout{}, 0, 0, false},
		{context.DeadlineExceeded, 0, 0, false},
		{errors.New("of a pin that cannot be decoded"), 0, 0, false},
	} {
		late, again := mayHalve(fmt.Errorf("reading pins: %w", tt.err), tt.late)
		if late != tt.wantLate || again != tt.wantAgain {
			t.Errorf("%T %v, late %d times before: %d, %t; want %d, %t", tt.err, tt.err, tt.late, late, again, tt.wantLate, tt.wantAgain)
		}
	}
}
