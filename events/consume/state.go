package consume

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// state is what a consumer has handled, as it is saved.
type state struct {
	// Stream is when the stream was made whose places are in Seq.
	Stream time.Time             `json:"stream,omitzero"`
	Shards [events.Shards]*shard `json:"shards"`
}

// newState returns the state of a consumer that begins at a time, zero for the beginning of
// the stream.
func newState(since time.Time) *state {
	s := new(state)
	for i := range s.Shards {
		s.Shards[i] = &shard{Through: since}
	}
	return s
}

// parseState reads a state that encode has written.
func parseState(text []byte) (*state, error) {
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("reading the state of a consumer: %w", err)
	}
	for i, sh := range s.Shards {
		if !sh.valid() {
			return nil, fmt.Errorf("reading the state of a consumer: that of shard %d is not one", i)
		}
	}
	return &s, nil
}

// valid reports whether a shard's state can have come about. Intervals that are not in
// order, or empty, would be asked for for ever.
func (s *shard) valid() bool {
	if s == nil || s.Epoch < 0 || s.Solid < -1 || s.Solid > 0 && uint64(s.Solid) > s.N {
		return false
	}
	var last time.Time
	for i, iv := range s.Missing {
		if !iv.To.After(iv.From) || i > 0 && !iv.From.After(last) {
			return false
		}
		last = iv.To
	}
	return true
}

func (s *state) encode() ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("writing the state of a consumer: %w", err)
	}
	return text, nil
}

// in forgets the places of another stream than the one that was made at a time.
func (s *state) in(made time.Time) {
	if s.Stream.Equal(made) {
		return
	}
	s.Stream = made
	for _, sh := range s.Shards {
		sh.Seq = 0
	}
}
