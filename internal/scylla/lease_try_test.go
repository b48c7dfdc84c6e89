package scylla

import (
	"testing"
	"time"
)

// TestTryLease shows that one holder has a lease until it has run out or is given back,
// that its epoch stays as long as it has it, and that that of the next is larger.
func TestTryLease(t *testing.T) {
	db := openDB(t, testConfig(t))
	change(t, db, leasesTable)
	epochs := []int64{0} // by their numbers, of which the next is larger
	try := func(what, holder string, ttl time.Duration, n int) {
		t.Helper()
		got, held, err := db.TryLease(t.Context(), "x", holder, ttl)
		if n == len(epochs) && got > epochs[n-1] {
			epochs = append(epochs, got)
		}
		if err != nil || held != (n > 0) || n >= len(epochs) || got != epochs[n] {
			t.Errorf("%s: %s has it %t at epoch %d, %v; want number %d of %d", what, holder, held, got, err, n, epochs)
		}
	}
	before := time.Now().UnixMilli()
	free := func(holder string, n int) {
		t.Helper()
		if err := db.FreeLease(t.Context(), "x", holder, epochs[n]); err != nil {
			t.Error(err)
		}
	}
	try("it is free", "one", time.Hour, 1)
	if epochs[1] < before {
		t.Errorf("the first epoch is %d: that of a keyspace of before may be larger", epochs[1])
	}
	try("it is held", "two", time.Hour, 0)
	try("it is prolonged", "one", time.Hour, 1)
	free("two", 1)
	free("one", 0)
	try("others cannot give it back", "two", time.Hour, 0)
	free("one", 1)
	try("it was given back", "two", time.Hour, 2)
	try("it is the other's now", "one", time.Hour, 0)
	free("one", 1)
	try("what was lost is not given back", "one", time.Hour, 0)
	free("two", 2)
	try("the same takes it again", "two", -time.Second, 3)
	try("it has run out, and nobody has taken it", "two", -time.Second, 3)
	try("it has run out", "one", time.Hour, 4)
	try("it was taken", "two", time.Hour, 0)
	if _, held, err := db.TryLease(t.Context(), "y", "two", time.Hour); err != nil || !held {
		t.Errorf("another lease: %t, %v", held, err)
	}
}

// TestTryLeaseAtOnce lets many take a lease at the same moment.
func TestTryLeaseAtOnce(t *testing.T) {
	db := openDB(t, testConfig(t))
	change(t, db, leasesTable)
	const many = 8
	got := make(chan bool, many)
	for i := range many {
		go func() {
			_, held, err := db.TryLease(t.Context(), "x", string(rune('a'+i)), time.Hour)
			if err != nil {
				t.Error(err)
			}
			got <- held
		}()
	}
	holders := 0
	for range many {
		if <-got {
			holders++
		}
	}
	if holders != 1 {
		t.Errorf("%d have it", holders)
	}
}
