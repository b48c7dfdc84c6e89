package scyllastate

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/ipfs/boxo/datastore/dshelp"
	"github.com/ugorji/go/codec"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/snapshot"
)

// entry is one record of the stream that upstream's dsstate reads and writes:
// a msgpack map of the datastore key and the pin as protobuf. Package
// state/snapshot reads it.
type entry struct {
	Key   string `codec:"k"`
	Value []byte `codec:"v"`
}

// writers is how many pins a bulk write has under way at once.
const writers = 64

// Marshal writes the pinset in the format of upstream's dsstate. Like List it
// is no snapshot. An error leaves w incomplete.
func (s *Store) Marshal(w io.Writer) error {
	enc := codec.NewEncoder(w, dsstate.DefaultHandle())
	var mu sync.Mutex
	err := s.scanAll(context.Background(), s.read, func(_ context.Context, row scanned) error {
		c, err := castKey(row.key)
		if err != nil {
			return err
		}
		if _, err := decodePin(c, row.value); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		return enc.Encode(entry{Key: dshelp.NewKeyFromBinary(row.key).BaseNamespace(), Value: row.value})
	})
	if err != nil {
		return fmt.Errorf("writing the pinset: %w", err)
	}
	return nil
}

// Unmarshal adds every pin of a stream that Marshal, or upstream's dsstate, has
// written. Pins that are not in the stream stay. After an error some pins have
// been added; it can be repeated.
func (s *Store) Unmarshal(r io.Reader) error {
	g, ctx := errgroup.WithContext(context.Background())
	g.SetLimit(writers)
	readErr := readEntries(r, func(next *content) error {
		g.Go(func() error { return s.replace(ctx, next.pin.Cid, next) })
		return ctx.Err()
	})
	if err := g.Wait(); err != nil {
		return err
	}
	return readErr
}

// readEntries calls f for each pin of the stream until one of them fails. A
// stream that ends inside an entry was cut off and is an error.
func readEntries(r io.Reader, f func(*content) error) error {
	return snapshot.Read(r, func(e snapshot.Entry) error {
		c, err := e.Cid()
		if err != nil {
			return err
		}
		next, err := newContent(c, e.Value)
		if err != nil {
			return err
		}
		return f(next)
	})
}
