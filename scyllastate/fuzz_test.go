package scyllastate

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/ipfs/boxo/datastore/dshelp"
	"github.com/ugorji/go/codec"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
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

// TestDamagedLength shows that a record which claims to be huge costs nothing.
// The fuzzer found it: upstream's decoder sets aside what the length says.
func TestDamagedLength(t *testing.T) {
	for _, record := range []string{
		"\x81\xa1k\xdb\xff\xff\xff\xff", "\x81\xa1v\xc6\xff\xff\xff\xff", "\x81\xdb\xff\xff\xff\xffk",
		"\xdf\xff\xff\xff\xff\xa1k", "\x81\xa1x\xdd\xff\xff\xff\xff",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := readEntries(strings.NewReader(record), func(*content) error { return nil })
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%q was read", record)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%q took %d MB of memory", record, took>>20)
		}
	}
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
		fits := len(value) > 0 && len(value) <= state.MaxPinBytes
		if fits != (err == nil) {
			t.Fatalf("%d bytes: %v", len(value), err)
		}
		if fits && len(next.peers()) != len(pin.Allocations) {
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

// FuzzCidKey feeds arbitrary bytes to the reader of keys: no two keys are one
// CID, and every CID has a key, in the table and in a snapshot.
func FuzzCidKey(f *testing.F) {
	for _, sample := range statetest.Samples(f) {
		f.Add(sample.Pin.Cid.Bytes())
	}
	f.Add([]byte{})
	f.Add([]byte{1, 0x55, 0, 0})          // an identity hash of nothing
	f.Add([]byte{1, 0xd5, 0, 0, 0})       // a varint that is longer than it must be
	f.Add(append([]byte{0x12, 0x20}, 31)) // a CIDv0 that is cut
	f.Fuzz(func(t *testing.T, key []byte) {
		c, err := api.CastCid(key)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Bytes(), key) {
			t.Fatalf("the keys %x and %x are both %s", key, c.Bytes(), c)
		}
		again, err := api.DecodeCid(c.String())
		if err != nil || !again.Equals(c) {
			t.Fatalf("%s does not survive its text: %v", c, err)
		}
		pin := api.PinCid(c)
		value, err := pin.ProtoMarshal()
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		err = readEntries(bytes.NewReader(stream(t, key, value)), func(got *content) error {
			if read++; !got.pin.Cid.Equals(c) {
				t.Fatalf("%s comes back from a snapshot as %s", c, got.pin.Cid)
			}
			return nil
		})
		if err != nil || read != 1 {
			t.Fatalf("%s comes back from a snapshot %d times, %v", c, read, err)
		}
	})
}
