package psa

import (
	"testing"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pinapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
)

func FuzzDecodePin(f *testing.F) {
	for _, seed := range []string{
		`{"cid":"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG","name":"n","meta":{"a":"b"},"origins":["/ip4/1.2.3.4"]}`,
		`{"cid":""}`, `{"cid":1}`, `null`, `{"meta":{"_x":""}}`, `{"cid":"f01551200"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := decodePin(text)
		if err != nil {
			return
		}
		if again, err := cid.Decode(n.CID); err != nil || again.String() != n.CID {
			t.Errorf("the cid %q is not canonical: %v", n.CID, err)
		}
		for key := range n.Meta {
			if pinapi.Reserved(key) {
				t.Errorf("the entry %q passed", key)
			}
		}
	})
}

// TestEmptyFilter: a filter without a value is an error, and does not list everything.
func TestEmptyFilter(t *testing.T) {
	for _, text := range []string{"cid=", "cid", "cid=,", "cid=a,", "cid=a&cid=", "status=", "status=,", "status=pinned,,failed", "name=", "match=", "before=", "limit=", "meta="} {
		if q, err := parseQuery(text); err == nil {
			t.Errorf("%q is read as %+v", text, q)
		}
	}
	for _, text := range []string{"", "name=,", "name=a,,b", "cid=a,b"} {
		if q, err := parseQuery(text); err != nil || len(q.Statuses) != 1 || q.Statuses[0] != pins.Pinned {
			t.Errorf("%q is read as %+v: %v", text, q, err)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{
		"cid=a,b&status=pinned&limit=5", "meta=%7B%7D", "before=2026-01-01T00:00:00Z", "limit=99999999999999999999", "a=b;c=d", "%", "status=,,",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := parseQuery(text)
		if err == nil && (len(q.Statuses) == 0 || q.Limit < 0 || q.Limit > 1000) {
			t.Errorf("%q is read as %+v", text, q)
		}
	})
}
