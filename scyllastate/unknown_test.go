package scyllastate

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestLostAnswers freezes a database, so that the answer of a conditional update
// is lost, and the update arrives when the database goes on.
func TestLostAnswers(t *testing.T) {
	own := cqltest.StartOwn(t, engine.Options{})
	t.Run("pin", func(t *testing.T) { pinLostAnswer(t, own) })
	t.Run("member", func(t *testing.T) { memberLostAnswer(t, own) })
}

// pinLostAnswer freezes it when the update of a pin is about to be sent, for longer
// than a request may take.
func pinLostAnswer(t *testing.T, own *cqltest.Own) {
	conf := configOn(t, &own.Server, own.Keyspace(t))
	conf.RequestTimeout = minRequestTimeout
	s := openStore(t, conf)
	self := statetest.Peer("self")

	// freeze stops the database when the next write reaches its conditional
	// update, and starts it again when the first answer is given up.
	freeze := func(resume func()) {
		var once, again sync.Once
		s.at = func(p point, _ *write) {
			switch p {
			case beforeCAS:
				once.Do(func() { must(t, own.Cluster().Freeze(0)) })
			case afterCAS:
				again.Do(resume)
			}
		}
	}
	resume := func() { must(t, own.Cluster().Resume(0)) }

	t.Run("stays unknown", func(t *testing.T) {
		pin := held("b", self)
		freeze(func() {})
		checkOutageTold(t, s, func() error { return s.Add(t.Context(), pin) })
		resume()
		s.at = func(point, *write) {}
		// Either way the next write works, and its result stands.
		waitFor(t, "the database to answer", func() bool {
			_, err := s.readRow(t.Context(), pin.Cid, gocql.Serial)
			return err == nil
		})
		must(t, s.Rm(t.Context(), pin.Cid))
		wantPin(t, s, pin.Cid, nil)
	})

	t.Run("learnt by asking again", func(t *testing.T) {
		pin := held("a", self)
		freeze(resume)
		var decided atomic.Int32
		must(t, s.update(t.Context(), byUpdate, pin.Cid, func(old row) (*api.Pin, *content, error) {
			decided.Add(1)
			next, err := encodePin(pin)
			return nil, next, err
		}))
		wantPin(t, s, pin.Cid, &pin)
		if n := decided.Load(); n != 1 {
			t.Errorf("the write was decided %d times: it met its own result and took it for a conflict", n)
		}
	})
}

// checkOutageTold makes a write of which nobody learns what becomes of it: the log
// must say that the database does not serve, with whatever reason.
func checkOutageTold(t *testing.T, s *Store, write func() error) {
	t.Helper()
	// Nothing else asks the database meanwhile, and finds that it does not answer.
	waitFor(t, "the clock to be measured again", func() bool {
		s.clock.mu.Lock()
		defer s.clock.mu.Unlock()
		return s.clock.steadyAt >= measureAgain
	})
	told := logtest.During(t, logging.LevelError, func() {
		if err := write(); !errors.Is(err, state.ErrOutcomeUnknown) {
			t.Errorf("the write ended with %v", err)
		}
	})
	if !strings.Contains(told, "the database does not serve requests: ") {
		t.Errorf("the outage is not in the log: %s", told)
	}
}
