package scyllastate

import (
	"bytes"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/ipfs/boxo/datastore/dshelp"
	"github.com/ugorji/go/codec"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// FuzzReadEntries feeds arbitrary bytes to the reader of snapshots: it never
// panics, and what it accepts survives being written again.
func FuzzReadEntries(f *testing.F) {
	for _, sample := range statetest.Samples(f) {
		f.Add(stream(f, sample.Pin.Cid.Bytes(), encode(f, sample)))
	}
	f.Add([]byte{})
	f.Add([]byte{0x82})
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = readEntries(bytes.NewReader(data), func(c *content) error {
			again := stream(t, c.pin.Cid.Bytes(), c.value)
			return readEntries(bytes.NewReader(again), func(d *content) error {
				if !d.pin.Cid.Equals(c.pin.Cid) || !bytes.Equal(d.value, c.value) {
					t.Fatalf("%s came back as %s", c.pin.Cid, d.pin.Cid)
				}
				return nil
			})
		})
	})
}

// FuzzDecodePin feeds arbitrary bytes to the decoder of rows: it never panics,
// and a pin that it accepts can be stored.
func FuzzDecodePin(f *testing.F) {
	for _, sample := range statetest.Samples(f) {
		f.Add(encode(f, sample))
	}
	c := statetest.Cid("fuzz")
	f.Fuzz(func(t *testing.T, value []byte) {
		pin, err := decodePin(c, value)
		if err != nil {
			return
		}
		next, err := newContent(c, value)
		if len(value) > 0 && err != nil {
			t.Fatal(err)
		}
		if len(value) > 0 && len(next.peers()) != len(pin.Allocations) {
			t.Fatal("the columns differ from the pin")
		}
		feedsFor(&pin)
	})
}

func encode(tb testing.TB, sample statetest.Sample) []byte {
	tb.Helper()
	value, err := sample.Pin.ProtoMarshal()
	if err != nil {
		tb.Fatal(err)
	}
	return value
}

func stream(tb testing.TB, cid, value []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	err := codec.NewEncoder(&b, dsstate.DefaultHandle()).Encode(entry{Key: dshelp.NewKeyFromBinary(cid).BaseNamespace(), Value: value})
	if err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}
