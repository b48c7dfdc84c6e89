package statetest

import (
	"bytes"
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/ugorji/go/codec"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestStrict runs everything on a store in memory that keeps the contract in
// full: dsstate with its weak points mended.
func TestStrict(t *testing.T) {
	t.Run("Run", func(t *testing.T) { Run(t, strictSuite()) })
	t.Run("RunStrict", func(t *testing.T) { RunStrict(t, strictSuite()) })
}

func strictSuite() Suite {
	return Suite{
		New: func(tb testing.TB) state.Store { return strictStore{newUpstream(tb, inmem.New())} },
		NewBatching: func(tb testing.TB) (state.BatchingStore, state.Store) {
			committed := strictStore{newUpstream(tb, inmem.New())}
			return &strictBatching{strictStore: committed}, committed
		},
		Corrupt: func(tb testing.TB, s state.Store, c api.Cid) {
			strict, ok := s.(strictStore)
			if !ok {
				tb.Fatalf("Corrupt got a %T", s)
			}
			corrupt(tb, strict.State, c)
		},
	}
}

// corrupt uses that dsstate does not look at what it unmarshals.
func corrupt(tb testing.TB, s *dsstate.State, c api.Cid) {
	tb.Helper()
	key := "/" + keyEncoding().EncodeToString(c.Bytes())
	unmarshal(tb, s, encode(tb, map[string][]byte{key: []byte("\xff\xffnot a pin")}))
}

// keyEncoding is how upstream turns a CID into a key.
func keyEncoding() *base32.Encoding {
	return base32.StdEncoding.WithPadding(base32.NoPadding)
}

type strictStore struct{ *dsstate.State }

func (s strictStore) Add(ctx context.Context, p api.Pin) error {
	if err := checkPin(p); err != nil {
		return err
	}
	return s.State.Add(ctx, p)
}

// checkPin returns an error if p could not be read back.
func checkPin(p api.Pin) error {
	if !p.Defined() {
		return errors.New("pin has no CID")
	}
	encoded, err := p.ProtoMarshal()
	if err != nil {
		return err
	}
	return new(api.Pin).ProtoUnmarshal(encoded)
}

func (s strictStore) Get(ctx context.Context, c api.Cid) (api.Pin, error) {
	p, err := s.State.Get(ctx, c)
	if err != nil && err != state.ErrNotFound {
		return api.Pin{}, fmt.Errorf("get %s: %w", c, err)
	}
	return p, err
}

func (s strictStore) List(ctx context.Context, out chan<- api.Pin) error {
	defer close(out)
	var b bytes.Buffer
	if err := s.State.Marshal(&b); err != nil {
		return err
	}
	return eachRecord(&b, func(_ record, p api.Pin) error {
		if ctx.Err() != nil { // select takes either when both are possible
			return ctx.Err()
		}
		select {
		case out <- p:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func (s strictStore) Marshal(w io.Writer) error {
	var b bytes.Buffer
	if err := s.State.Marshal(&b); err != nil {
		return err
	}
	if err := eachRecord(bytes.NewReader(b.Bytes()), func(record, api.Pin) error { return nil }); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (s strictStore) Unmarshal(r io.Reader) error {
	return eachRecord(r, func(r record, _ api.Pin) error { return s.load(r) })
}

// load stores one record as it is.
func (s strictStore) load(r record) error {
	var b bytes.Buffer
	if err := codec.NewEncoder(&b, dsstate.DefaultHandle()).Encode(r); err != nil {
		return err
	}
	return s.State.Unmarshal(&b)
}

// eachRecord calls f for the records of a snapshot. The decoder reports io.EOF
// also in the middle of a record, so the bytes are counted.
func eachRecord(r io.Reader, f func(record, api.Pin) error) error {
	snapshot, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	dec := codec.NewDecoder(bytes.NewReader(snapshot), dsstate.DefaultHandle())
	for read := 0; read < len(snapshot); read = dec.NumBytesRead() {
		var rec record
		if err := dec.Decode(&rec); err != nil {
			return fmt.Errorf("record at byte %d: %w", read, err)
		}
		key, err := keyEncoding().DecodeString(strings.TrimPrefix(rec.Key, "/"))
		if err != nil {
			return fmt.Errorf("key %q: %w", rec.Key, err)
		}
		c, err := api.CastCid(key)
		if err != nil {
			return fmt.Errorf("key %q: %w", rec.Key, err)
		}
		if len(rec.Value) == 0 {
			return fmt.Errorf("pin %s: no value", c)
		}
		var p api.Pin
		if err := p.ProtoUnmarshal(rec.Value); err != nil {
			return fmt.Errorf("pin %s: %w", c, err)
		}
		p.Cid = c
		if err := f(rec, p); err != nil {
			return err
		}
	}
	return nil
}

type strictBatching struct {
	strictStore
	mu     sync.Mutex
	queued []func(context.Context) error
}

func (s *strictBatching) queue(write func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued = append(s.queued, write)
}

func (s *strictBatching) Add(_ context.Context, p api.Pin) error {
	if err := checkPin(p); err != nil {
		return err
	}
	s.queue(func(ctx context.Context) error { return s.strictStore.Add(ctx, p) })
	return nil
}

func (s *strictBatching) Rm(_ context.Context, c api.Cid) error {
	s.queue(func(ctx context.Context) error { return s.strictStore.Rm(ctx, c) })
	return nil
}

func (s *strictBatching) Unmarshal(r io.Reader) error {
	return eachRecord(r, func(rec record, _ api.Pin) error {
		s.queue(func(context.Context) error { return s.load(rec) })
		return nil
	})
}

func (s *strictBatching) Commit(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queued) > 0 {
		if err := s.queued[0](ctx); err != nil {
			return err
		}
		s.queued = s.queued[1:]
	}
	return nil
}
