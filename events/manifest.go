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
}

// Resume tells that a relay begins an epoch.
type Resume struct {
	// Shard is from 0 to 15.
	Shard int
	// Epoch is the one that begins.
	Epoch int64
	// From is where the relay begins to read the changes. Those written until then were
	// told in earlier epochs.
	From time.Time
}

const (
	manifestType Type = "com.github.ipfs-cluster.scylla.feed.manifest.v1"
	resumeType   Type = "com.github.ipfs-cluster.scylla.feed.resume.v1"
)

// position is a Manifest or a Resume as JSON.
type position struct {
	Type    Type       `json:"type"`
	Shard   *int       `json:"shard"`
	Epoch   int64      `json:"epoch"`
	N       *uint64    `json:"n,omitempty"`
	Through *time.Time `json:"through,omitempty"`
	From    *time.Time `json:"from,omitempty"`
}

// Encode returns the manifest as JSON. An error matches ErrMalformed.
func (m Manifest) Encode() ([]byte, error) {
	return position{Type: manifestType, Shard: &m.Shard, Epoch: m.Epoch, N: &m.N, Through: &m.Through}.encode()
}

// ParseManifest returns what Manifest.Encode has encoded. An error matches either
// ErrUnknown or ErrMalformed.
func ParseManifest(encoded []byte) (Manifest, error) {
	p, err := parsePosition(encoded, manifestType)
	if err != nil {
		return Manifest{}, err
	}
	return Manifest{Shard: *p.Shard, Epoch: p.Epoch, N: *p.N, Through: *p.Through}, nil
}

// Encode returns the resume as JSON. An error matches ErrMalformed.
func (r Resume) Encode() ([]byte, error) {
	return position{Type: resumeType, Shard: &r.Shard, Epoch: r.Epoch, From: &r.From}.encode()
}

// ParseResume returns what Resume.Encode has encoded. An error matches either
// ErrUnknown or ErrMalformed.
func ParseResume(encoded []byte) (Resume, error) {
	p, err := parsePosition(encoded, resumeType)
	if err != nil {
		return Resume{}, err
	}
	return Resume{Shard: *p.Shard, Epoch: p.Epoch, From: *p.From}, nil
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
	at := p.From
	if p.Type == manifestType {
		at = p.Through
	}
	switch {
	case p.Shard == nil:
		return errors.New("shard is missing")
	case *p.Shard < 0 || *p.Shard >= Shards:
		return fmt.Errorf("shard is %d, not one of 0 to %d", *p.Shard, Shards-1)
	case p.Epoch <= 0:
		return fmt.Errorf("epoch is %d, not a positive number", p.Epoch)
	case p.Type == manifestType && p.N == nil:
		return errors.New("n is missing")
	case at == nil || at.IsZero():
		return errors.New("the time is missing")
	}
	return nil
}
