package scyllastate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/ipfs/boxo/datastore/dshelp"
	ds "github.com/ipfs/go-datastore"
	"github.com/ugorji/go/codec"
	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sync/errgroup"
)

// entry is one record of the stream that upstream's dsstate reads and writes:
// a msgpack map of the datastore key and the pin as protobuf.
type entry struct {
	Key   string `codec:"k"`
	Value []byte `codec:"v"`
}

// Bounds of what one record may hold: no CID and no pin comes near them, and no
// row of the database could hold more.
const (
	maxKey   = 64 << 10
	maxValue = 16 << 20
)

// writers is how many pins a bulk write has under way at once.
const writers = 64

// Marshal writes the pinset in the format of upstream's dsstate. Like List it
// is no snapshot. An error leaves w incomplete.
func (s *Store) Marshal(w io.Writer) error {
	enc := codec.NewEncoder(w, dsstate.DefaultHandle())
	var mu sync.Mutex
	err := s.scan(context.Background(), func(_ context.Context, key, value []byte) error {
		c, err := castKey(key)
		if err != nil {
			return err
		}
		if _, err := decodePin(c, value); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		return enc.Encode(entry{Key: dshelp.NewKeyFromBinary(key).BaseNamespace(), Value: value})
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
	in := bufio.NewReader(r)
	dec := msgpack.NewDecoder(in)
	for n := 1; ; n++ {
		if _, err := in.Peek(1); errors.Is(err, io.EOF) {
			return nil
		}
		e, err := readEntry(dec)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		var next *content
		if err == nil {
			next, err = e.content()
		}
		if err == nil {
			err = f(next)
		}
		if err != nil {
			return fmt.Errorf("reading entry %d of the pinset: %w", n, err)
		}
	}
}

// readEntry reads one map of the stream, field by field. The decoder of the
// package that writes it would set aside as many bytes as a damaged length
// asks for, up to 4 GiB at a time.
func readEntry(dec *msgpack.Decoder) (entry, error) {
	var e entry
	fields, err := dec.DecodeMapLen()
	if err != nil {
		return e, err
	}
	for range fields {
		name, err := readBytes(dec, maxKey)
		if err != nil {
			return e, err
		}
		switch string(name) {
		case "k":
			var key []byte
			key, err = readBytes(dec, maxKey)
			e.Key = string(key)
		case "v":
			e.Value, err = readBytes(dec, maxValue)
		default:
			err = fmt.Errorf("the field %.20q is unknown", name)
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

func readBytes(dec *msgpack.Decoder, longest int) ([]byte, error) {
	n, err := dec.DecodeBytesLen()
	if err != nil {
		return nil, err
	}
	if n > longest {
		return nil, fmt.Errorf("%d bytes where at most %d make sense", n, longest)
	}
	b := make([]byte, max(n, 0)) // -1 stands for nil
	return b, dec.ReadFull(b)
}

func (e entry) content() (*content, error) {
	key, err := dshelp.BinaryFromDsKey(ds.NewKey(e.Key))
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", e.Key, err)
	}
	c, err := api.CastCid(key)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", e.Key, err)
	}
	return newContent(c, e.Value)
}
