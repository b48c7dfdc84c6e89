package scyllastate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// membersPage is the number of identities that one request returns.
	membersPage = 100
	// rosterKept is how long identities are not read again although nobody
	// says that they have changed: a row that was written by hand, or came
	// from a backup, changes nothing else.
	rosterKept = 5 * time.Minute
)

// roster is what a listing of the peers leaves for the next one. It is never
// changed, and bounded by the number of peers: each listing makes a new one.
type roster struct {
	// version is that of the members, zero when they must be read again.
	version gocql.UUID
	read    time.Time
	members []state.Member // without heartbeats
	metrics map[peer.ID]published
}

// ListMembers implements state.Members. Who the peers are, and what they
// publish, is read only where it has changed since the last listing. A row whose
// key is no peer ID is logged and left out.
func (s *Store) ListMembers(ctx context.Context) ([]state.Member, error) {
	last := s.roster.Load()
	if last == nil {
		last = &roster{}
	}
	next, err := s.identities(ctx, last)
	if err != nil {
		return nil, fmt.Errorf("listing the peers: %w", err)
	}
	members := slices.Clone(next.members)
	if next.metrics, err = s.addBeats(ctx, members, last.metrics); err != nil {
		return nil, fmt.Errorf("listing the peers: %w", err)
	}
	// Of two listings at the same time the later one may store the older
	// roster, which the next listing finds out.
	s.roster.Store(next)
	return members, nil
}

// identities returns who the peers are, from memory when nothing has changed.
func (s *Store) identities(ctx context.Context, last *roster) (*roster, error) {
	if last.version != (gocql.UUID{}) && elapsed(last.read, s.now()) < rosterKept {
		var latest gocql.UUID
		if _, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(selectLatest, peersPartition), &latest); err != nil {
			return nil, err
		}
		if latest == last.version {
			return &roster{version: last.version, read: last.read, members: last.members}, nil
		}
	}
	return s.readIdentities(ctx)
}

// readIdentities reads who the peers are. They get the version that was the
// latest when the read began, if the row that has it is among them: a write that
// is not acknowledged yet may be seen in part, as replicas repair each other
// column by column.
func (s *Store) readIdentities(ctx context.Context) (*roster, error) {
	out := &roster{read: s.now()}
	rows := s.db.Rows(ctx, gocql.Quorum, membersPage, scylla.Bind(selectMembers, peersPartition))
	var latest *gocql.UUID
	var bad badKeys
	for {
		var cells memberCells
		if !rows.Next(cells.columns()...) {
			break
		}
		if latest == nil {
			latest = &cells.latest
		}
		if cells.version == *latest {
			out.version = *latest
		}
		if cells.incarnation == nil {
			continue // nobody
		}
		id, err := peer.Decode(cells.id)
		if err != nil {
			bad.add(cells.id, err)
			continue
		}
		out.members = append(out.members, cells.member(id))
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	bad.log()
	return out, nil
}

// badKeys are the rows of a listing that are passed over.
type badKeys struct {
	n     int
	first error
}

func (b *badKeys) add(key string, err error) {
	if b.n++; b.n == 1 {
		b.first = fmt.Errorf("the key %q of peers is no peer ID: %w", key, err)
	}
}

func (b *badKeys) log() {
	if b.n > 0 {
		logger.Errorf("listing the peers: %d rows were passed over, one of them because %s", b.n, b.first)
	}
}

// memberCells is one row of peers as it comes from the database.
type memberCells struct {
	latest, version  gocql.UUID
	id, name, role   string
	addresses        []string
	incarnation      *gocql.UUID
	instance         string
	leaving, removed time.Time
}

// columns are where the columns of selectMembers go, in its order.
func (r *memberCells) columns() []any {
	return []any{
		&r.latest, &r.version, &r.id, &r.name, &r.role, &r.addresses, &r.incarnation, &r.instance, &r.leaving, &r.removed,
	}
}

func (r *memberCells) member(id peer.ID) state.Member {
	return state.Member{
		ID: id, Name: r.name, Role: r.role, Addresses: r.addresses,
		Incarnation: state.Incarnation(*r.incarnation), Instance: r.instance,
		Leaving: r.leaving, Removed: r.removed,
	}
}
