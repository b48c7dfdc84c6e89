package events

import (
	"encoding/json"
	"fmt"
	"time"
)

// Shards is the number of streams of numbered events that a cluster has.
const Shards = 16

// Manifest tells how far the events of a shard are told. The relay of a shard numbers
// its messages 1, 2, 3 and so on in each epoch.
type Manifest struct {
	Shard int
	Epoch int64
	// N is the number of the last message before it, 0 if there was none.
	N uint64
	// Through is how far the feed was read: what was written to it until then is in the
	// messages up to N, or was told in an earlier epoch.
	Through time.Time
}

// Resume tells that a relay begins an epoch.
type Resume struct {
	Shard int
	Epoch int64
	// From is where it begins to read the feed: what was written until then was told in
	// earlier epochs.
	From time.Time
}

const (
	manifestType Type = "com.github.ipfs-cluster.scylla.feed.manifest.v1"
	resumeType   Type = "com.github.ipfs-cluster.scylla.feed.resume.v1"
)

// position is a Manifest or a Resume as JSON.
type position struct {
	Type    Type      `json:"type"`
	Shard   *int      `json:"shard"`
	Epoch   int64     `json:"epoch"`
	N       uint64    `json:"n,omitzero"`
	Through time.Time `json:"through,omitzero"`
	From    time.Time `json:"from,omitzero"`
}

// Encode returns the manifest as JSON.
func (m Manifest) Encode() ([]byte, error) {
	return position{Type: manifestType, Shard: &m.Shard, Epoch: m.Epoch, N: m.N, Through: m.Through}.encode(m.Through)
}

// ParseManifest returns what Manifest.Encode has encoded. An error matches either
// ErrUnknown or ErrMalformed.
func ParseManifest(encoded []byte) (Manifest, error) {
	p, err := parsePosition(encoded, manifestType)
	if err == nil {
		err = p.check(p.Through)
	}
	if err != nil {
		return Manifest{}, err
	}
	return Manifest{Shard: *p.Shard, Epoch: p.Epoch, N: p.N, Through: p.Through}, nil
}

// Encode returns the resume as JSON.
func (r Resume) Encode() ([]byte, error) {
	return position{Type: resumeType, Shard: &r.Shard, Epoch: r.Epoch, From: r.From}.encode(r.From)
}

// ParseResume returns what Resume.Encode has encoded. An error matches either
// ErrUnknown or ErrMalformed.
func ParseResume(encoded []byte) (Resume, error) {
	p, err := parsePosition(encoded, resumeType)
	if err == nil {
		err = p.check(p.From)
	}
	if err != nil {
		return Resume{}, err
	}
	return Resume{Shard: *p.Shard, Epoch: p.Epoch, From: p.From}, nil
}

func (p position) encode(at time.Time) ([]byte, error) {
	if err := p.check(at); err != nil {
		return nil, err
	}
	encoded, err := marshal(p)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return encoded, nil
}

func parsePosition(encoded []byte, want Type) (position, error) {
	var p position
	if err := checkSize(encoded); err != nil {
		return p, err
	}
	if err := json.Unmarshal(encoded, &p); err != nil {
		return p, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch p.Type {
	case want:
		return p, nil
	case "":
		return p, fmt.Errorf("%w: type is missing", ErrMalformed)
	}
	return p, fmt.Errorf("%w: type %.200q", ErrUnknown, p.Type)
}

// check says what is wrong with a position at a time.
func (p position) check(at time.Time) error {
	switch {
	case p.Shard == nil || *p.Shard < 0 || *p.Shard >= Shards:
		return fmt.Errorf("%w: shard is not one of 0 to %d", ErrMalformed, Shards-1)
	case p.Epoch <= 0:
		return fmt.Errorf("%w: epoch is %d", ErrMalformed, p.Epoch)
	case at.IsZero():
		return fmt.Errorf("%w: it has no time", ErrMalformed)
	}
	return nil
}
