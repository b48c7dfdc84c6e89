// Package snapshot reads the pinset as upstream's dsstate writes it: one msgpack
// map after another, {"k": key, "v": value}, without header or trailer. It is
// also what a raft snapshot holds. Package state says what is in it.
package snapshot

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/boxo/datastore/dshelp"
	ds "github.com/ipfs/go-datastore"
	"github.com/vmihailenco/msgpack/v5"
)

// Bounds of what one entry may hold: no CID and no pin comes near them, and no
// row of a database could hold more.
const (
	maxKey   = 64 << 10
	maxValue = 16 << 20
)

// Entry is one record of the stream.
type Entry struct {
	// Key is the key of dsstate: the bytes of the CID in upper-case base32. It
	// may begin with a slash.
	Key string
	// Value is the pin as protobuf. Nobody has looked at it.
	Value []byte
}

// Cid returns the CID that the key stands for, or an error that quotes the key.
func (e Entry) Cid() (api.Cid, error) {
	c, err := ParseKey(e.Key)
	if err != nil {
		return api.CidUndef, fmt.Errorf("key %q: %w", e.Key, err)
	}
	return c, nil
}

// ParseKey returns the CID that a key of dsstate stands for.
func ParseKey(key string) (api.Cid, error) {
	raw, err := dshelp.BinaryFromDsKey(ds.NewKey(key))
	if err != nil {
		return api.CidUndef, err
	}
	return api.CastCid(raw)
}

// Read calls f for each entry of the stream until f fails or r does. Its errors
// name the number of the entry, from 1. A stream that ends inside an entry was
// cut off: the error is io.ErrUnexpectedEOF then. The entries belong to f.
func Read(r io.Reader, f func(Entry) error) error {
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
		if err == nil {
			err = f(e)
		}
		if err != nil {
			return fmt.Errorf("reading entry %d of the pinset: %w", n, err)
		}
	}
}

// readEntry reads one map of the stream, field by field. The decoder of the
// package that writes it would set aside as many bytes as a damaged length
// asks for, up to 4 GiB at a time.
func readEntry(dec *msgpack.Decoder) (Entry, error) {
	var e Entry
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
