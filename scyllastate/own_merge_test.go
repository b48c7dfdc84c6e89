package scyllastate

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestReadAhead: a list that ends with its first bucket, as that of the check of one
// does, reads no other.
func TestReadAhead(t *testing.T) {
	for i, want := range map[int]int{0: 0, 1: 2, 5: 10, 100: 100 + ownReaders - 1} {
		if got := readAhead(i); got != want {
			t.Errorf("with bucket %d the buckets up to %d are read, want %d", i, got, want)
		}
	}
}

// TestMergeOwn shows that every key of sorted sources comes once and in order, with
// what all of them know.
func TestMergeOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := make(map[string]bool)
		var sources []ownSource
		for range rapid.IntRange(0, 4).Draw(t, "sources") {
			texts := rapid.SliceOf(rapid.StringN(1, 3, 6)).Draw(t, "keys")
			slices.Sort(texts)
			var keys [][]byte
			for _, text := range texts {
				all[text] = true
				keys = append(keys, []byte(text))
			}
			sources = append(sources, &changedKeys{keys})
		}
		last := ""
		err := mergeOwn(0, sources, func(key []byte, own state.Own) error {
			if string(key) <= last || !all[string(key)] || !own.Changed {
				t.Fatalf("%q comes after %q, %+v", key, last, own)
			}
			last = string(key)
			delete(all, last)
			return nil
		})
		if err != nil || len(all) > 0 {
			t.Fatalf("%d keys are missing, %v", len(all), err)
		}
	})
	enough := errors.New("enough")
	one := &changedKeys{[][]byte{{1}, {2}}}
	if err := mergeOwn(0, []ownSource{one}, func([]byte, state.Own) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("ends with %v", err)
	}
}

// TestMergeOwnWithoutASource: what one source has is not listed where another one
// failed, as if that had nothing there.
func TestMergeOwnWithoutASource(t *testing.T) {
	keys := func(n ...byte) *changedKeys {
		var all [][]byte
		for _, b := range n {
			all = append(all, []byte{b})
		}
		return &changedKeys{all}
	}
	down := errors.New("the source cannot be read")
	for name, tt := range map[string]struct {
		before []byte // of the source that fails
		most   int
	}{
		"at once":        {nil, 0},
		"after a key":    {[]byte{3}, 2}, // 4 would be listed without it
		"after the last": {[]byte{5}, 4},
	} {
		var listed int
		sources := []ownSource{keys(1, 2, 4, 5), &failingKeys{*keys(tt.before...), down}}
		err := mergeOwn(7, sources, func([]byte, state.Own) error { listed++; return nil })
		var bad *state.BucketError
		if !errors.As(err, &bad) || bad.Bucket != 7 || !errors.Is(err, down) {
			t.Errorf("%s: ends with %v", name, err)
		}
		if listed > tt.most {
			t.Errorf("%s: %d keys are listed, want at most %d", name, listed, tt.most)
		}
	}
}

// failingKeys end with an error.
type failingKeys struct {
	changedKeys
	err error
}

func (f *failingKeys) close() error { return f.err }

// TestKeySet shows that the set of changed keys is bounded, in order, and says what it
// has not kept.
func TestKeySet(t *testing.T) {
	k := newKeySet(4, 8)
	all := map[int][]api.Cid{7: cidsIn(t, 7, 1), 8: cidsIn(t, 8, 2), 9: cidsIn(t, 9, 2), 20: cidsIn(t, 20, 3)}
	for range 2 {
		for _, bucket := range []int{20, 7, 9, 8} {
			for _, c := range all[bucket] {
				k.add(c.Bytes())
			}
		}
	}
	k.add([]byte{0}) // is not a CID
	got, next := k.byBucket()
	if len(got) != 2 || len(got[8]) != 2 || len(got[9]) != 2 || next != 20 || !slices.IsSortedFunc(got[9], bytes.Compare) {
		t.Errorf("the keys are %v, next is %d", got, next)
	}
	k = newKeySet(1, 0)
	for _, c := range all[20] {
		k.add(c.Bytes())
	}
	if got, next := k.byBucket(); len(got[20]) != 3 || next != state.Buckets {
		t.Errorf("one bucket that is too large: %v, next is %d", got, next)
	}
}
