package state

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Incarnation identifies one process that runs as a peer.
type Incarnation [16]byte

// Member is one peer of the cluster: who it is, and its last heartbeat.
type Member struct {
	ID   peer.ID
	Name string
	Role string
	// Addresses are the multiaddresses at which it listens, without its ID.
	Addresses []string
	// Incarnation is the process that runs as this peer, Instance the host
	// and folder that it runs in.
	Incarnation Incarnation
	Instance    string
	// Leaving is when the peer was told to hand over its pins and leave, zero
	// when it was not. Removed is when it was taken out of the cluster.
	Leaving, Removed time.Time

	// Beat grows with each heartbeat of an incarnation. It is 0 when the last
	// one ran out, and negative for a process that has taken the identity and
	// is not at work yet.
	Beat int64
	// BeatOf is the incarnation that sent it.
	BeatOf Incarnation
	// TTL is how long a heartbeat counts.
	TTL time.Duration
	// Metrics are what the peer published, in the encoding of its sender.
	Metrics []byte
}

// Heartbeat is what a peer writes again and again.
type Heartbeat struct {
	Incarnation Incarnation
	Beat        int64
	TTL         time.Duration
	Metrics     []byte
}

// LastBeat says when a peer last ran. Unlike a heartbeat it does not run out, and
// counts only the time in which some peer ran.
type LastBeat struct {
	At time.Time
	// Zone names what fails together with the peer, empty for nothing.
	Zone string
}

// ErrMemberChanged says that a member is not the one any more that was to be
// changed: another process has taken its identity, or it was told to leave,
// removed or called back.
var ErrMemberChanged = errors.New("the peer was changed by another process meanwhile")

// Members are the peers of the cluster. A member that was removed stays listed
// as removed.
type Members interface {
	// ListMembers returns all of them, by a read that sees every acknowledged
	// write. The caller must not change the addresses and metrics.
	ListMembers(ctx context.Context) ([]Member, error)
	// PutMember writes who a peer is (not its heartbeat), if Incarnation,
	// Leaving and Removed of the stored one are still those of was (a zero
	// Incarnation: there is none). It returns ErrMemberChanged if they are not.
	PutMember(ctx context.Context, m, was Member) error
	// Beat writes a heartbeat, which runs out after its TTL. It never makes a
	// member, nor brings a removed one back.
	Beat(ctx context.Context, id peer.ID, h Heartbeat) error
	// PutLastBeat notes that a peer runs, and LastBeats returns what was noted of
	// those of the peers of which anything was, by a read that sees every
	// acknowledged note.
	PutLastBeat(ctx context.Context, id peer.ID, last LastBeat) error
	LastBeats(ctx context.Context, ids []peer.ID) (map[peer.ID]LastBeat, error)
	// DatabaseTime is the time by the clock of the table, as far as is known.
	DatabaseTime() time.Time
}
