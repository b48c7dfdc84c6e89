package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

func TestMain(m *testing.M) { os.Exit(cqltest.Main(m)) }

// now is the time of the tests, in the middle of a day.
var now = time.Date(2026, 12, 9, 11, 30, 0, 0, time.UTC)

func dayOf(t time.Time) int64 { return usage.DayOf(t.UnixMilli()) }

// openDB opens a session on an empty keyspace.
func openDB(tb testing.TB) *scylla.DB {
	tb.Helper()
	server := cqltest.Start(tb)
	conf := keyspace.Default()
	conf.Hosts, conf.Port, conf.Keyspace = server.Hosts(), server.Port(), server.Emptied(tb)
	db, err := keyspace.Open(tb.Context(), conf, nil)
	must(tb, err)
	tb.Cleanup(db.Close)
	return db
}

func policy() claim.Policy {
	return claim.Policy{
		Start: claim.StartAccepted, Replicas: claim.ReplicasRequested, DefaultReplicas: 2, AllReplicas: 5, Window: 60 * 24 * time.Hour,
	}
}

// instance is a process of its own.
func instance(tb testing.TB, db ledger.Database, p claim.Policy) *Ingest {
	tb.Helper()
	in, err := New(Options{Store: ledger.New(tb.Context(), db), Policy: p, Metrics: NewMetrics()})
	must(tb, err)
	in.now = func() time.Time { return now }
	return in
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// told are the events of the types that a claim is told by.
func told(d events.ClaimData, types ...events.Type) []claims.Delivery {
	var out []claims.Delivery
	for _, t := range types {
		out = append(out, delivery(events.ClaimEvent("gateway", t, d)))
	}
	return out
}

func delivery(e events.Event) claims.Delivery {
	data, err := e.Encode()
	d := claims.Delivery{Event: e, Data: data, Delivered: 1, Stored: now}
	if err == nil {
		d.Event, d.Err = events.Parse(data)
	} else {
		d.Data = []byte(err.Error())
	}
	return d
}

// claimed is a claim that was accepted some time ago.
func claimed(owner, request string, ago time.Duration) events.ClaimData {
	return events.ClaimData{Cid: "cid-" + request, Owner: owner, RequestID: request, Name: "name", Accepted: now.Add(-ago), Replicas: 3}
}

// handle hands a batch over, as often as it fails.
func handle(tb testing.TB, in *Ingest, batch ...claims.Delivery) {
	tb.Helper()
	must(tb, in.Claims(tb.Context(), batch))
}

// line is a fact as text.
func line(f claim.Fact) string {
	return fmt.Sprintf("%s %x %s %s at %d: %s bytes, %d pins", f.Kind, f.ID, f.RequestID, f.Cid, f.At, f.Bytes, f.Pins)
}

// factsOn are the facts of an owner on a day, as lines.
func factsOn(tb testing.TB, in *Ingest, owner string, day int64) []string {
	tb.Helper()
	facts, err := in.store.Facts(tb.Context(), owner, day)
	must(tb, err)
	var out []string
	for _, f := range facts {
		out = append(out, line(f))
	}
	slices.Sort(out)
	return out
}

// kindsOn are their kinds.
func kindsOn(tb testing.TB, in *Ingest, owner string, day int64) string {
	tb.Helper()
	var out []string
	for _, l := range factsOn(tb, in, owner, day) {
		out = append(out, l[:strings.Index(l, " ")])
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// asideOf is what is wrong with what was put aside today, sorted.
func asideOf(tb testing.TB, in *Ingest) []string {
	tb.Helper()
	return asideOn(tb, in, dayOf(now))
}

func asideOn(tb testing.TB, in *Ingest, day int64) []string {
	tb.Helper()
	var out []string
	must(tb, in.store.EachQuarantined(tb.Context(), day, func(i ledger.Item) error {
		out = append(out, i.Why)
		return nil
	}))
	slices.Sort(out)
	return out
}

// lateOn are the days that were noted as late on a day, as text.
func lateOn(tb testing.TB, in *Ingest, noted int64) []string {
	tb.Helper()
	var out []string
	for shard := range ledger.Shards {
		must(tb, in.store.EachLate(tb.Context(), noted, shard, func(d ledger.OwnerDay) error {
			out = append(out, fmt.Sprintf("%s %d", d.Owner, d.Day-dayOf(now)))
			return nil
		}))
	}
	slices.Sort(out)
	return out
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

var errCrash = errors.New("crash")

// dying is a database whose process dies after a number of writes. Those that are under way at
// the same time may still be made.
type dying struct {
	*scylla.DB
	mu   sync.Mutex
	left int
}

func (d *dying) WriteAll(ctx context.Context, all []scylla.Statement) error {
	if d.dead() {
		return errCrash
	}
	return d.DB.WriteAll(ctx, all)
}

func (d *dying) dead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left--
	return d.left < 0
}

// split divides deliveries into batches at random.
func split(rnd *rand.Rand, all []claims.Delivery) [][]claims.Delivery {
	var out [][]claims.Delivery
	for len(all) > 0 {
		n := 1 + rnd.IntN(len(all))
		out, all = append(out, all[:n]), all[n:]
	}
	return out
}
