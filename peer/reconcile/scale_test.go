package reconcile

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scale"
)

// TestScaleConstants: docs/scale.md reckons with the times and sizes of this package.
func TestScaleConstants(t *testing.T) {
	if scale.Expiry != expiryInterval || scale.Round != DefaultScrubEvery || scale.Pieces != scrubPieces {
		t.Errorf("internal/scale has %s, %s, %d; here are %s, %s, %d", scale.Expiry, scale.Round, scale.Pieces, expiryInterval, DefaultScrubEvery, scrubPieces)
	}
}
