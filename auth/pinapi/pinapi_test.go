package pinapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pinapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
)

// TestCIDsAreBounded: a text that would take long to read is not read.
func TestCIDsAreBounded(t *testing.T) {
	for _, text := range []string{"k" + strings.Repeat("2", 256), "z" + strings.Repeat("2", 256<<10), "", "x"} {
		_, err := pinapi.CID(text)
		var p *door.Problem
		if !errors.As(err, &p) || p.Status != http.StatusBadRequest || len(p.Details) > 500 {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if got, err := pinapi.CID("BAFKREIGH2AKISCAILDCQABSYG3DFR6CHU3FGPREGIYMSCK7E7AQA4S52ZY"); err != nil || got != "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy" {
		t.Error(got, err)
	}
}

// TestEverywhereIsMany: a policy that bounds copies also bounds those on all peers.
func TestEverywhereIsMany(t *testing.T) {
	for factor, want := range map[int]int{-1: pinapi.Everywhere, 0: 0, 3: 3} {
		wanted := pinapi.Wanted(pins.NewRequest{ReplMin: factor, ReplMax: factor})
		made := pinapi.Made(pins.Request{ReplMin: factor, ReplMax: factor})
		if wanted.ReplMin != want || wanted.ReplMax != want || made.ReplMax != want || made.ReplMin != want {
			t.Errorf("%d is seen as %+v and %+v", factor, wanted, made)
		}
	}
}
