package railstest

import (
	"context"
	"errors"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

func TestJournalInMemory(t *testing.T) {
	journal := new(Journal)
	TestJournal(t, func() rails.Journal { return journal }, journal.Payment)
}

// TestFail shows that a call which fails may have taken effect or not.
func TestFail(t *testing.T) {
	for _, done := range []bool{false, true} {
		journal := &Journal{Fail: func(method, _ string, d bool) error {
			if method == "Remember" && d == done {
				return errors.New("no answer")
			}
			return nil
		}}
		if _, err := journal.Remember(context.Background(), "a", "k", "v"); err == nil {
			t.Error("it did not fail")
		}
		if kept, err := journal.Recall(context.Background(), "a", "k"); err != nil || (kept == "v") != done {
			t.Errorf("done %v: it has %q, %v", done, kept, err)
		}
	}
}
