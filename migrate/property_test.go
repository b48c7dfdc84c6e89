package migrate

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestAnyRunEndsWithThePinsOfTheSource draws sources that change, stops of all kinds
// and peers that come, and runs until a run has ended. Whatever came between, the
// pinset holds the source, and nothing else if all was written in bulk.
func TestAnyRunEndsWithThePinsOfTheSource(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src, dst := newFakeSource(t), newFakeTarget(t)
		dst.stored = inOrder(t, src, dst)
		opts := Options{CheckpointEvery: 1, Window: rapid.IntRange(1, 20).Draw(rt, "window"), Existing: ExistingNewer, RemoveMissing: true}
		if rapid.Bool().Draw(rt, "rare checkpoints") {
			opts.CheckpointEvery = time.Hour
		}
		src.uncounted = rapid.Bool().Draw(rt, "uncounted")
		for version := range rapid.IntRange(1, 3).Draw(rt, "versions") {
			src.fingerprint = fmt.Sprint("version ", version)
			src.items = drawItems(t, rt, version)
			if rapid.IntRange(0, 9).Draw(rt, "a peer comes") == 0 {
				dst.live.By = "a peer"
			}
			for range rapid.IntRange(0, 4).Draw(rt, "stops") {
				stopOnce(rt, src, dst, opts)
			}
			if dst.migrations[src.id].Phase != state.MigrationDone || dst.migrations[src.id].Fingerprint != opts.Change.fingerprint(src.fingerprint) {
				mustRunRapid(rt, src, dst, opts)
			}
			checkArrived(t, rt, src, dst)
		}
	})
}

// drawItems draws a source. The later the version, the later the timestamps: with
// equal ones a pinset in use would rightly keep what it has.
func drawItems(t *testing.T, rt *rapid.T, version int) []item {
	n := rapid.IntRange(0, 60).Draw(rt, "records")
	items := make([]item, n)
	bad := rapid.Bool().Draw(rt, "some bad")
	for i := range items {
		// Few labels, so that some come twice.
		label := fmt.Sprint("pin ", rapid.IntRange(0, 80).Draw(rt, "label"))
		pin := testPin(label, func(p *api.Pin) {
			p.Name = fmt.Sprint(version, i)
			p.Timestamp = time.Unix(int64(1_600_000_000+1000*version+i), 0)
		})
		items[i] = pinItem(t, pin)
		if bad && rapid.IntRange(0, 9).Draw(rt, "bad") == 0 {
			items[i] = item{bad: "bad"}
		}
	}
	return items
}

// stopOnce runs until an operation fails, with or without the ones behind it.
func stopOnce(rt *rapid.T, src *fakeSource, dst *fakeTarget, opts Options) {
	stop := len(dst.ops) + rapid.IntRange(1, 30).Draw(rt, "stop")
	kill := rapid.Bool().Draw(rt, "kill")
	stopped := errors.New("stopped")
	dst.fail = func(_ string, n int) error {
		if n == stop || kill && n > stop {
			return stopped
		}
		return nil
	}
	if at := rapid.Int64Range(1, 200).Draw(rt, "source fails"); at <= int64(len(src.items)) {
		src.fail = func(n int64) error {
			if n == at {
				return stopped
			}
			return nil
		}
	}
	if _, err := Run(rt.Context(), src, dst, opts); err != nil && !errors.Is(err, stopped) {
		rt.Fatal("Run: ", err)
	}
	src.fail, dst.fail = nil, nil
}

func mustRunRapid(rt *rapid.T, src *fakeSource, dst *fakeTarget, opts Options) {
	report, err := Run(rt.Context(), src, dst, opts)
	if err != nil {
		rt.Fatal("Run: ", err)
	}
	_, bad := wanted(src.items)
	sum := report.Copied + report.Kept + report.Bad + report.Duplicates
	if report.Bad != bad || int64(len(report.BadRecords)) != bad || report.Records != int64(len(src.items)) || sum != report.Records {
		rt.Fatalf("%d records, %d copied, %d kept, %d duplicates, %d bad, %d named: want %d records, %d bad",
			report.Records, report.Copied, report.Kept, report.Duplicates, report.Bad, len(report.BadRecords), len(src.items), bad)
	}
}

func checkArrived(t *testing.T, rt *rapid.T, src *fakeSource, dst *fakeTarget) {
	want, bad := wanted(src.items)
	got := dst.values()
	for key, value := range want {
		if got[key] != value {
			rt.Fatal("a pin is missing, or another one")
		}
	}
	if m := dst.migrations[src.id]; m.Bulk && bad == 0 && len(want) > 0 && len(got) != len(want) {
		rt.Fatalf("the pinset holds %d pins: want %d", len(got), len(want))
	}
	c, err := verify(t.Context(), src, dst, Options{}, limits{buckets: 64, pieces: 8, piecePins: 10, groupBytes: 2000, passes: 1000})
	if err != nil {
		rt.Fatal("Verify: ", err)
	}
	if c.Missing+c.Different+c.CorruptTarget != 0 || c.Extra != int64(len(got)-len(want)) || c.Bad != bad {
		rt.Fatalf("the comparison is %+v", c)
	}
}
