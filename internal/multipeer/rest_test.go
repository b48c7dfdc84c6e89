package multipeer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scale"
)

// restFamilies are the statements by which a term of scale.AtRest is measured.
var restFamilies = map[string][][]string{
	"looks of the peers at their own feeds":  {{"FROM changes WHERE feed = ?"}},
	"looks at the feeds that all peers read": {{"FROM changes WHERE feed IN"}},
	"views: heartbeats of the others":        {{"SELECT DISTINCT latest FROM peers"}, {"SELECT peer, beat FROM beats"}},
	"cursors":                                {{"UPDATE cursors SET position = ? WHERE"}},
	"heartbeats":                             {{"UPDATE beats USING TTL"}},
	"expiries":                               {{"FROM expiries WHERE"}, {"UPDATE cursors USING TIMESTAMP"}},
}

// TestStatementsAtRest measures what peers ask of the database while nothing happens,
// which docs/scale.md reckons with.
func TestStatementsAtRest(t *testing.T) {
	longOnly(t, "it measures for minutes what peers do at rest")
	for _, peers := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d peers", peers), func(t *testing.T) {
			w := newWorld(t)
			w.ping = scale.Beat
			w.start(w.newNodes(peers)...)
			w.startedUp()
			time.Sleep(80 * time.Second) // until the feeds have been quiet for a minute
			w.asked()
			began := time.Now()
			time.Sleep(2 * time.Minute) // this is what is measured
			by, took := w.asked(), time.Since(began).Seconds()
			for _, text := range slices.Sorted(maps.Keys(by)) {
				t.Logf("%8.3f a second, %8.3f rows  %.100s", float64(by[text].statements())/took, float64(by[text].rows)/took, text)
			}
			c := scale.Cluster{Peers: peers, Nodes: 1}
			measured := 0
			for _, term := range scale.AtRest() {
				families, ok := restFamilies[term.What]
				if !ok {
					continue
				}
				measured++
				got, want := 0.0, term.PerSecond(c)
				for text, u := range by {
					for _, parts := range families {
						if containsAll(text, parts) {
							got += float64(u.statements()) / took
						}
					}
				}
				t.Logf("%s: %.2f a second, reckoned with %.2f", term.What, got, want)
				// The shards of four peers are one to four.
				if math.Abs(got-want) > want/4+0.2 {
					t.Errorf("%s: %.2f a second, but docs/scale.md reckons with %.2f", term.What, got, want)
				}
			}
			if measured != len(restFamilies) {
				t.Errorf("%d of %d kinds of statements are a term of docs/scale.md", measured, len(restFamilies))
			}
		})
	}
}
