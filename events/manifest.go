package events

import (
	"errors"
	"fmt"
	"time"
)

// Shards is the number of streams into which the events of a cluster are divided.
const Shards = 16

// Manifest tells how far the events of a shard were told.
type Manifest struct {
	// Shard is from 0 to 15.
	Shard int
	// Epoch grows whenever a relay takes the shard over.
	Epoch int64
	// N is the number of the last message before it in this epoch, 0 if there was none.
	N uint64
	// Through is how far the changes were read. Those written until then are in the
	// messages up to that one, or were told in an earlier epoch.
	Through time.Time
	// Latest is when the latest change was written that these messages tell of. It may be
	// later than how far the changes were read: that waits for slow writers.
	Latest time.Time
}

// Resume tells what the next message follows: when a relay begins an epoch, and when
// it leaves out numbers, because it does not know which messages arrived.
type Resume struct {
	// Shard is from 0 to 15.
	Shard int
	// Epoch is the one that begins, or goes on.
	Epoch int64
	// From is where the relay begins to read the changes. Those written until then were
	// told in earlier epochs. It says nothing in an epoch that goes on.
	From time.Time
	// After is the number of the message after which everything is told again, 0 where
	// an epoch begins.
	After uint64
	// N is the last number that does not count. The next message has the one after it.
	N uint64
}

// Replayed tells that changes have been told again, because somebody has asked for it.
type Replayed struct {
	// Shard is from 0 to 15.
	Shard int
	// Epoch is that of the relay.
	Epoch int64
	// Replay is the name of the replay.
	Replay string
	// N is how many messages it has.
	N uint64
	// From is after when the changes were written.
	From time.Time
	// Through is until when they were written.
	Through time.Time
}

const (
	manifestType Type = "com.github.ipfs-cluster.scylla.feed.manifest.v1"
	resumeType   Type = "com.github.ipfs-cluster.scylla.feed.resume.v1"
	replayedType Type = "com.github.ipfs-cluster.scylla.feed.replayed.v1"
)

// position is a Manifest, a Resume or a Replayed as JSON.
type position struct {
	Type    Type       `json:"type"`
	Shard   *int       `json:"shard"`
	Epoch   int64      `json:"epoch"`
	Replay  string     `json:"replay,omitempty"`
	After   uint64     `json:"after,omitzero"`
	N       *uint64    `json:"n,omitempty"`
	Through *time.Time `json:"through,omitempty"`
	From    *time.Time `json:"from,omitempty"`
	Latest  time.Time  `json:"latest,omitzero"`
}

// Encode returns the manifest as JSON. An error matches ErrMalformed.
func (m Manifest) Encode() ([]byte, error) {
	return position{Type: manifestType, Shard: &m.Shard, Epoch: m.Epoch, N: &m.N, Through: &m.Through, Latest: m.Latest}.encode()
}

// ParseManifest returns what Manifest.Encode has encoded. An error matches either
// ErrUnknown or ErrMalformed.
func ParseManifest(encoded []byte) (Manifest, error) {
	p, err := parsePosition(encoded, manifestType)
	if err != nil {
		return Manifest{}, err
	}
	return Manifest{Shard: *p.Shard, Epoch: p.Epoch, N: *p.N, Through: *p.Through, Latest: p.Latest}, nil
}

// Encode returns the resume as JSON. An error matches ErrMalformed.
func (r Resume) Encode() ([]byte, error) {
	return position{Type: resumeType, Shard: &r.Shard, Epoch: r.Epoch, From: &r.From, After: r.After, N: &r.N}.encode()
}

// ParseResume returns what Resume.Encode has encoded. An error matches either
// ErrUnknown or ErrMalformed.
func ParseResume(encoded []byte) (Resume, error) {
	p, err := parsePosition(encoded, resumeType)
	if err != nil {
		return Resume{}, err
	}
	return Resume{Shard: *p.Shard, Epoch: p.Epoch, From: *p.From, After: p.After, N: *p.N}, nil
}

// Encode returns the end of a replay as JSON. An error matches ErrMalformed.
func (r Replayed) Encode() ([]byte, error) {
	return position{Type: replayedType, Shard: &r.Shard, Epoch: r.Epoch, Replay: r.Replay, N: &r.N, From: &r.From, Through: &r.Through}.encode()
}

// ParseReplayed returns what Replayed.Encode has encoded. An error matches either
// ErrUnknown or ErrMalformed.
func ParseReplayed(encoded []byte) (Replayed, error) {
	p, err := parsePosition(encoded, replayedType)
	if err != nil {
		return Replayed{}, err
	}
	return Replayed{Shard: *p.Shard, Epoch: p.Epoch, Replay: p.Replay, N: *p.N, From: *p.From, Through: *p.Through}, nil
}

func (p position) encode() ([]byte, error) {
	err := p.check()
	var encoded []byte
	if err == nil {
		encoded, err = marshal(p)
	}
	if err != nil {
		return nil, malformed("%w", err)
	}
	return encoded, nil
}

func parsePosition(encoded []byte, want Type) (position, error) {
	var p position
	err := unmarshal(encoded, &p)
	switch {
	case err != nil:
		return p, malformed("%w", err)
	case p.Type == "":
		return p, malformed("type is missing")
	case p.Type != want:
		return p, unknown(p.Type)
	}
	if err := p.check(); err != nil {
		return p, malformed("%w", err)
	}
	return p, nil
}

// check says what is wrong with a position.
func (p position) check() error {
	at := p.Through
	if p.Type == resumeType {
		at = p.From
	}
	switch {
	case p.Shard == nil:
		return errors.New("shard is missing")
	case *p.Shard < 0 || *p.Shard >= Shards:
		return fmt.Errorf("shard is %d, not one of 0 to %d", *p.Shard, Shards-1)
	case p.Epoch <= 0:
		return fmt.Errorf("epoch is %d, not a positive number", p.Epoch)
	case p.N == nil:
		return errors.New("n is missing")
	case p.After > *p.N:
		return fmt.Errorf("after is %d, more than n, which is %d", p.After, *p.N)
	case at == nil || at.IsZero() || p.Type == replayedType && p.From == nil:
		return errors.New("the time is missing")
	case p.Type == replayedType && p.Replay == "":
		return errors.New("replay is missing")
	}
	return nil
}
