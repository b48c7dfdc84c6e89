package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

const failedNode = "10.0.0.1:9042"

// failingTables are those of a database that does not answer.
type failingTables struct{ tables }

func (failingTables) readPin(context.Context, api.Cid, gocql.Consistency) (row, error) {
	return row{}, fmt.Errorf("reading a pin: %w", &scylla.RequestError{Err: gocql.ErrTimeoutNoResponse, Host: failedNode})
}

// TestAnswers shows that whoever is told of a failed request gets a number in
// place of the address, and that the log has both.
func TestAnswers(t *testing.T) {
	absent, err := lru.New[string, time.Time](1)
	must(t, err)
	s := &Store{tables: failingTables{}, now: time.Now, absent: absent}
	pin := statetest.Samples(t)[0].Pin
	batch := s.Batching()
	must(t, batch.Add(t.Context(), pin))

	must(t, logging.SetLogLevel("scyllastate", "info"))
	t.Cleanup(func() { _ = logging.SetLogLevel("scyllastate", "error") })
	for name, request := range map[string]func(context.Context) error{
		"Get":    func(ctx context.Context) error { _, err := s.Get(ctx, pin.Cid); return err },
		"Add":    func(ctx context.Context) error { return s.Add(ctx, pin) },
		"Rm":     func(ctx context.Context) error { return s.Rm(ctx, pin.Cid) },
		"Commit": batch.Commit,
		"Update": func(ctx context.Context) error {
			return s.Update(ctx, pin.Cid, func(*api.Pin) (*api.Pin, error) { return nil, nil })
		},
	} {
		var err error
		told := logtest.During(t, logging.LevelInfo, func() { err = request(t.Context()) })
		var failed *scylla.RequestError
		if !errors.As(err, &failed) {
			t.Errorf("%s ended with %v", name, err)
			continue
		}
		number := regexp.MustCompile(`\(request (\w{8})\)$`).FindStringSubmatch(err.Error())
		if number == nil || strings.Contains(err.Error(), failedNode) {
			t.Errorf("%s answers %q, want a number and no address", name, err)
			continue
		}
		if !strings.Contains(told, "request "+number[1]+" failed: ") || !strings.Contains(told, failedNode) {
			t.Errorf("%s answers %q, and the log does not have its number and %s: %s", name, err, failedNode, told)
		}
	}
	if err := answer(state.ErrNotFound); err != state.ErrNotFound {
		t.Errorf("ErrNotFound became %v", err)
	}
}
