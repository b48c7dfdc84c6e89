package statetest

import (
	"bytes"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

func cidTests() []test {
	return []test{
		{"distinct", testDistinctCids},
	}
}

// cidsOfOneBlock returns CIDs that are easily taken for one another: by
// version, by codec, by hash function and by length.
func cidsOfOneBlock(tb testing.TB) map[string]api.Cid {
	tb.Helper()
	block := []byte("one block")
	hash := func(code uint64, length int) multihash.Multihash {
		digest := bytes.Repeat(block, 1+length/len(block))[:length]
		h, err := multihash.Encode(digest, code)
		if err != nil {
			tb.Fatalf("multihash %#x: %v", code, err)
		}
		return h
	}
	v1 := func(codec, code uint64, length int) api.Cid {
		return api.NewCid(cid.NewCidV1(codec, hash(code, length)))
	}
	return map[string]api.Cid{
		"v0":                  api.NewCid(cid.NewCidV0(hash(multihash.SHA2_256, 32))),
		"v1 of the same hash": v1(cid.DagProtobuf, multihash.SHA2_256, 32),
		"raw":                 v1(cid.Raw, multihash.SHA2_256, 32),
		"dag-cbor":            v1(cid.DagCBOR, multihash.SHA2_256, 32),
		"dag-json":            v1(cid.DagJSON, multihash.SHA2_256, 32),
		"libp2p-key":          v1(cid.Libp2pKey, multihash.SHA2_256, 32),
		"sha2-256 cut short":  v1(cid.Raw, multihash.SHA2_256, 20),
		"sha2-512":            v1(cid.Raw, multihash.SHA2_512, 64),
		"sha1":                v1(cid.Raw, multihash.SHA1, 20),
		"sha3-256":            v1(cid.Raw, multihash.SHA3_256, 32),
		"blake2b-256":         v1(cid.Raw, multihash.BLAKE2B_MIN+31, 32),
		"blake3":              v1(cid.Raw, multihash.BLAKE3, 32),
		"identity":            v1(cid.Raw, multihash.IDENTITY, 32),
		"identity of nothing": v1(cid.Raw, multihash.IDENTITY, 0),
		"identity, long":      v1(cid.Raw, multihash.IDENTITY, 2000),
		"identity, longer":    v1(cid.Raw, multihash.IDENTITY, 2001),
	}
}

func testDistinctCids(t *testing.T, s Suite) {
	store := s.New(t)
	want := make(map[string]api.Pin)
	var all []api.Pin
	for name, c := range cidsOfOneBlock(t) {
		p := pin(func(p *api.Pin) { p.Cid, p.Name = c, name })
		add(t, store, p)
		want[name] = asStored(t, p)
		all = append(all, want[name])
	}
	wantPinset(t, store, all...)
	for name, p := range want {
		t.Run(name, func(t *testing.T) {
			wantPin(t, store, p)
			rm(t, store, p.Cid)
			wantMissing(t, store, p.Cid)
		})
		delete(want, name)
		for _, other := range want {
			wantPin(t, store, other)
		}
	}
	wantPinset(t, store)
}
