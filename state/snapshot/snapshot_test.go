package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/ugorji/go/codec"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// upstreams is a stream that upstream has written, and what is in it by CID.
func upstreams(tb testing.TB) ([]byte, map[string][]byte) {
	tb.Helper()
	st, err := dsstate.New(tb.Context(), inmem.New(), "/x", dsstate.DefaultHandle())
	ok(tb, err)
	want := make(map[string][]byte)
	for _, sample := range statetest.Samples(tb) {
		ok(tb, st.Add(tb.Context(), sample.Pin))
		want[sample.Pin.Cid.String()], err = sample.Pin.ProtoMarshal()
		ok(tb, err)
	}
	var b bytes.Buffer
	ok(tb, st.Marshal(&b))
	return b.Bytes(), want
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func TestReadsWhatUpstreamWrites(t *testing.T) {
	stream, want := upstreams(t)
	n := 0
	ok(t, Read(bytes.NewReader(stream), func(e Entry) error {
		n++
		c, err := e.Cid()
		if err == nil && !bytes.Equal(e.Value, want[c.String()]) {
			t.Errorf("%s is %x, want %x", c, e.Value, want[c.String()])
		}
		return err
	}))
	if n != len(want) {
		t.Errorf("%d entries, want %d", n, len(want))
	}
	ok(t, Read(strings.NewReader(""), nil))
}

// TestCutStream: it is an error wherever it is cut, except between two entries.
func TestCutStream(t *testing.T) {
	stream, _ := upstreams(t)
	whole := map[int]bool{0: true}
	for at := range len(stream) {
		entries := 0
		err := Read(bytes.NewReader(stream[:at]), func(Entry) error { entries++; return nil })
		if err == nil {
			whole[at] = true
			if len(whole) != entries+1 {
				t.Fatalf("cut at %d it is whole after %d entries", at, entries)
			}
			continue
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), fmt.Sprintf("entry %d ", entries+1)) {
			t.Fatalf("cut at %d, after %d entries: %v", at, entries, err)
		}
	}
}

func TestReadEndsWithItsCaller(t *testing.T) {
	stream, _ := upstreams(t)
	stop := errors.New("stop")
	n := 0
	err := Read(bytes.NewReader(stream), func(Entry) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 3 || !strings.Contains(err.Error(), "reading entry 3 of the pinset") {
		t.Errorf("%v after %d entries", err, n)
	}
}

func TestCidOfAKeyThatIsNone(t *testing.T) {
	for _, key := range []string{"", "/", "x", "AFKRA", "/AFKRA", "a/b"} {
		if c, err := (Entry{Key: key}).Cid(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", key)) {
			t.Errorf("key %q is %s, %v", key, c, err)
		}
	}
}

// FuzzRead feeds arbitrary bytes to the reader: it never panics, sets aside no
// more than there is, and what it accepts is the same when it is written again.
func FuzzRead(f *testing.F) {
	stream, _ := upstreams(f)
	f.Add(stream[:600])
	f.Add([]byte{0x81, 0xa1, 'k', 0xdb, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x80, 0xc0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var again bytes.Buffer
		var entries []Entry
		err := Read(bytes.NewReader(data), func(e Entry) error {
			entries = append(entries, e)
			return codec.NewEncoder(&again, dsstate.DefaultHandle()).Encode(map[string]any{"k": e.Key, "v": e.Value})
		})
		if err != nil && errors.Is(err, io.EOF) {
			t.Fatalf("the end of a stream that is cut: %v", err)
		}
		i := 0
		ok(t, Read(&again, func(e Entry) error {
			if e.Key != entries[i].Key || !bytes.Equal(e.Value, entries[i].Value) {
				t.Fatalf("%v came back as %v", entries[i], e)
			}
			i++
			return nil
		}))
		if i != len(entries) {
			t.Fatalf("%d of %d entries came back", i, len(entries))
		}
	})
}
