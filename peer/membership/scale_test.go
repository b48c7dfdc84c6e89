package membership

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scale"
)

// TestScaleConstants: docs/scale.md reckons with the times of this package.
func TestScaleConstants(t *testing.T) {
	if scale.LastBeat != DefaultLastBeatEvery {
		t.Errorf("internal/scale has %s, here are %s", scale.LastBeat, DefaultLastBeatEvery)
	}
}
