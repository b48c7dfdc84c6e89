package scyllastate

import (
	"math"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scale"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestScaleConstants: docs/scale.md reckons with the times and sizes of this package.
func TestScaleConstants(t *testing.T) {
	window := production().window()
	for name, pair := range map[string][2]float64{
		"SharedLook":    {float64(scale.SharedLook), float64(sharedIdle)},
		"Save":          {float64(scale.Save), float64(saveEvery)},
		"SaveIdle":      {float64(scale.SaveIdle), float64(saveIdle)},
		"Clock":         {float64(scale.Clock), float64(measureEvery + measureAgain)},
		"Remote":        {float64(scale.Remote), float64(remoteClocksEvery())},
		"Identities":    {float64(scale.Identities), float64(rosterKept)},
		"Round":         {float64(scale.Round), float64(DefaultCheckEvery)},
		"BeatShards":    {scale.BeatShards, beatShards},
		"ExpiryShards":  {scale.ExpiryShards, state.ExpiryShards},
		"Buckets":       {scale.Buckets, state.Buckets},
		"Page":          {scale.Page, placementsPage},
		"Page, of all":  {scale.Page, everywherePage},
		"ScanPage":      {scale.ScanPage, scanPage},
		"IdentityPage":  {scale.IdentityPage, membersPage},
		"PinsAtOnce":    {scale.PinsAtOnce, versionsAtOnce},
		"SettledPasses": {scale.SettledPasses, (window / 4).Seconds()},
		// Two minutes, and a third one at the beginning of each.
		"ExpirySlots": {scale.ExpirySlots, 2 + window.Seconds()/slotLength.Seconds()},
	} {
		if math.Abs(pair[0]-pair[1]) > pair[1]/200 {
			t.Errorf("%s is %g in internal/scale, and %g here", name, pair[0], pair[1])
		}
	}
}

// remoteClocksEvery is how often nodes of other data centres are asked for their time: with
// the first measurement that is late enough.
func remoteClocksEvery() time.Duration {
	every := measureEvery + measureAgain
	return (scylla.RemoteEvery + every - 1) / every * every
}
