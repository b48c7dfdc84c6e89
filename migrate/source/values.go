package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// pieces is in how many parts the pinset of a store is read. Two of them are in
// memory at a time.
const pieces = 1024

// valuesSource is the pins of a store of this project.
type valuesSource struct {
	id, fingerprint string
	values          state.Values
	closing         func() error
}

// NewValues returns a source that reads the pins of a store, in pieces and each
// of these in the order of its CIDs. Fingerprint may be empty. Close calls
// closing, which may be nil.
func NewValues(id, fingerprint string, v state.Values, closing func() error) Source {
	return &valuesSource{id: id, fingerprint: fingerprint, values: v, closing: closing}
}

func (s *valuesSource) ID() string          { return s.id }
func (s *valuesSource) Fingerprint() string { return s.fingerprint }
func (s *valuesSource) Warnings() []string {
	return []string{"pins that change while they are read may be copied as they were before: stop the peers that use that keyspace, and verify"}
}

func (s *valuesSource) MayLack() bool { return false }

func (s *valuesSource) ReadOnce() bool { return false }

func (s *valuesSource) Close() error {
	if s.closing == nil {
		return nil
	}
	return s.closing()
}

func (s *valuesSource) Count(context.Context, func(int64)) (int64, error) { return -1, nil }

// row is a pin as it is stored.
type row struct{ key, value []byte }

// part is one piece of the pinset.
type part struct {
	number int
	rows   []row
	err    error
}

func (s *valuesSource) Read(ctx context.Context, from Position, f func(Record) error, bad func(Bad) error) error {
	begin, last, err := parsePiece(from.Key)
	if err != nil {
		return err
	}
	// The next piece is read while this one is handed over, so that no query
	// of the database waits for those who write.
	ctx, cancel := context.WithCancel(ctx)
	parts := make(chan part)
	go s.scan(ctx, begin, parts)
	defer func() {
		cancel()
		for range parts { // until scan has left
			continue
		}
	}()
	n := from.Records
	for p := range parts {
		if p.err != nil {
			return fmt.Errorf("reading piece %d of %d of the pins: %w", p.number+1, pieces, p.err)
		}
		for _, r := range p.rows {
			if p.number == begin && last != nil && bytes.Compare(r.key, last) <= 0 {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			n++
			if err := r.handOver(Position{Key: pieceKey(p.number, r.key), Records: n}, f, bad); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (r row) handOver(after Position, f func(Record) error, bad func(Bad) error) error {
	c, err := api.CastCid(r.key)
	if err != nil {
		err = fmt.Errorf("its key is no CID: %w", err)
	} else if len(r.value) == 0 {
		err = errors.New("its value is empty")
	}
	if err != nil {
		return bad(Bad{At: hex.EncodeToString(r.key), Err: err, After: after})
	}
	return f(Record{Cid: c, Value: r.value, After: after})
}

// scan reads one piece after another until the end, an error or that of ctx.
func (s *valuesSource) scan(ctx context.Context, begin int, parts chan<- part) {
	defer close(parts)
	for number := begin; number < pieces; number++ {
		p := part{number: number}
		p.err = s.values.ScanValues(ctx, number, pieces, func(key, value []byte) error {
			p.rows = append(p.rows, row{key, value})
			return ctx.Err()
		})
		slices.SortFunc(p.rows, func(a, b row) int { return bytes.Compare(a.key, b.key) })
		select {
		case parts <- p:
		case <-ctx.Done():
			return
		}
		if p.err != nil {
			return
		}
	}
}

// pieceKey is the position behind a key of a piece.
func pieceKey(number int, key []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(number)), key...)
}

func parsePiece(position []byte) (number int, last []byte, err error) {
	if len(position) == 0 {
		return 0, nil, nil
	}
	if len(position) < 2 || binary.BigEndian.Uint16(position) >= pieces {
		return 0, nil, fmt.Errorf("%x is no position in a pinset", position)
	}
	return int(binary.BigEndian.Uint16(position)), position[2:], nil
}
