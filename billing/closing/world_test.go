package closing

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage/integral"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(childTask); text != "" {
		if err := childMain(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(cqltest.Main(m))
}

// first is the first day of the tests: the days after it are of two months.
var first = dayNumber(2026, 11, 28)

func dayNumber(year, month, day int) int64 {
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

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

// clock is one that the test sets, in milliseconds since 1970.
type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time { return time.UnixMilli(c.ms.Load()).UTC() }

// set goes to some time after the beginning of a day.
func (c *clock) set(day int64, after time.Duration) {
	c.ms.Store(day*86_400_000 + after.Milliseconds())
}

// dueAt goes to a moment after a day may be closed.
func (c *clock) dueAt(day int64) { c.set(day+1, DefaultGrace+time.Second) }

// freeLeases gives the lease to everybody who asks, each time with another epoch.
type freeLeases struct{ epoch atomic.Int64 }

func (l *freeLeases) TryLease(context.Context, string, string, time.Duration) (int64, bool, error) {
	return l.epoch.Add(1), true, nil
}
func (l *freeLeases) FreeLease(context.Context, string, string, int64) error { return nil }

// world is a keyspace with a clock, and shards of its own.
type world struct {
	tb     testing.TB
	clock  clock
	db     *scylla.DB
	store  *ledger.Store
	leases Leases
	shards []int
}

func newWorld(tb testing.TB, db *scylla.DB, shards ...int) *world {
	w := &world{tb: tb, db: db, store: ledger.New(tb.Context(), db), leases: &freeLeases{}, shards: shards}
	w.clock.set(first, 0)
	return w
}

// closer is a process of its own.
func (w *world) closer(change ...func(*Options)) *Closer { return w.closerOn(w.db, change...) }

func (w *world) closerOn(db ledger.Database, change ...func(*Options)) *Closer {
	w.tb.Helper()
	opts := Options{
		Store: ledger.New(w.tb.Context(), db), Leases: w.leases, First: time.UnixMilli(first * 86_400_000), Parallel: 4, Metrics: NewMetrics(), Now: w.clock.now,
	}
	for _, f := range change {
		f(&opts)
	}
	c, err := New(opts)
	must(w.tb, err)
	c.shards = w.shards
	return c
}

func (w *world) reader() *Reader {
	return NewReader(w.store, time.UnixMilli(first*86_400_000), w.clock.now)
}

// owner returns the name of an owner of the world's i-th shard.
func (w *world) owner(i int, name string) string {
	for n := 0; ; n++ {
		if owner := fmt.Sprintf("%s-%d", name, n); ledger.ShardOf(owner) == w.shards[i] {
			return owner
		}
	}
}

// put writes facts, as who counts events does.
func (w *world) put(facts ...claim.Fact) {
	w.tb.Helper()
	must(w.tb, w.store.PutFacts(w.tb.Context(), facts))
	today := w.clock.ms.Load() / 86_400_000
	var marks []ledger.OwnerDay
	for _, f := range facts {
		day := usage.DayOf(f.At)
		if day >= today {
			continue
		}
		p, err := w.store.Progress(w.tb.Context(), day, ledger.ShardOf(f.Owner))
		must(w.tb, err)
		if p.Begun {
			marks = append(marks, ledger.OwnerDay{Owner: f.Owner, Day: day})
		}
	}
	must(w.tb, w.store.MarkLate(w.tb.Context(), today, marks))
}

// pass has a closer do all there is.
func (w *world) pass(c *Closer) {
	w.tb.Helper()
	must(w.tb, c.Pass(w.tb.Context()))
}

// fact is a step of an owner, some time after the beginning of a day.
func fact(owner, name string, day int64, after time.Duration, bytes, pins int64) claim.Fact {
	return claim.Fact{
		Delta: usage.Delta{ID: sha256.Sum256([]byte(name)), At: day*86_400_000 + after.Milliseconds(), Bytes: big.NewInt(bytes), Pins: pins},
		Kind:  claim.KindMore, Owner: owner, RequestID: name, Cid: "cid",
	}
}

// stepsOf are the facts of an owner for package integral.
func stepsOf(owner string, facts []claim.Fact) []integral.Step {
	var out []integral.Step
	for _, f := range facts {
		if f.Owner == owner {
			out = append(out, integral.Step{Name: string(f.ID[:]), At: f.At, Bytes: f.Bytes, Pins: big.NewInt(f.Pins)})
		}
	}
	return out
}

// area is what a day comes to by package integral, as text.
func area(owner string, day int64, facts []claim.Fact) string {
	r := integral.Of(day*86_400_000, (day+1)*86_400_000, stepsOf(owner, facts))
	return fmt.Sprintf("%s byte·ms, %s pin·ms, peak %s, below %v, closing %s and %s", r.Bytes, r.Pins, r.Highest, r.Below, r.EndBytes, r.EndPins)
}

// text is the same of a day.
func text(d usage.Day) string {
	return fmt.Sprintf("%s byte·ms, %s pin·ms, peak %s, below %v, closing %s and %d", d.ByteMS, d.PinMS, d.PeakBytes, d.Negative, d.Closing.Bytes, d.Closing.Pins)
}

// days are the closed days of an owner.
func (w *world) days(owner string, from, to int64) []DayUsage {
	w.tb.Helper()
	var out []DayUsage
	_, err := w.reader().Days(w.tb.Context(), owner, from, to, func(d DayUsage) error {
		out = append(out, d)
		return nil
	})
	must(w.tb, err)
	return out
}

// check compares all that is stored of owners with all facts there are, and returns how many
// adjustments there are.
func (w *world) check(facts []claim.Fact, last int64, owners ...string) (adjustments int) {
	w.tb.Helper()
	ctx := w.tb.Context()
	for _, owner := range owners {
		days := w.days(owner, first, last+9)
		if int64(len(days)) != last-first+1 {
			w.tb.Errorf("%s has %d closed days, not %d", owner, len(days), last-first+1)
		}
		bytes, pins := new(big.Int), new(big.Int)
		for i, d := range days {
			if d.Day != first+int64(i) {
				w.tb.Errorf("day %d follows %d others", d.Day, i)
			}
			if want := area(owner, d.Day, facts); text(d.Latest) != want {
				w.tb.Errorf("day %d of %s is\n%s\nwant\n%s", d.Day-first, owner, text(d.Latest), want)
			}
			bytes.Add(bytes, d.Closed.ByteMS)
			pins.Add(pins, d.Closed.PinMS)
		}
		for _, month := range []int{202611, 202612} {
			all, err := w.store.Adjustments(ctx, owner, month)
			must(w.tb, err)
			for _, a := range all {
				adjustments++
				bytes.Add(bytes, a.ByteMS)
				pins.Add(pins, a.PinMS)
			}
		}
		whole := integral.Of(first*86_400_000, (last+1)*86_400_000, stepsOf(owner, facts))
		if bytes.Cmp(whole.Bytes) != 0 || pins.Cmp(whole.Pins) != 0 {
			w.tb.Errorf("%s is charged for %s byte·ms and %s pin·ms, not %s and %s", owner, bytes, pins, whole.Bytes, whole.Pins)
		}
	}
	for _, d := range w.recheck(owners...) {
		w.tb.Errorf("a recheck says: %s", d)
	}
	return adjustments
}

// recheck returns what differs of owners.
func (w *world) recheck(owners ...string) []Difference {
	w.tb.Helper()
	var out []Difference
	c := check{Reader: w.reader(), differs: func(d Difference) error {
		if slices.Contains(owners, d.Owner) {
			out = append(out, d)
		}
		return nil
	}}
	for _, shard := range w.shards {
		must(w.tb, c.shard(w.tb.Context(), shard))
	}
	return out
}

// stored is all that is stored of an owner, without the owner's name and when it was made.
func (w *world) stored(owner string) string {
	w.tb.Helper()
	ctx := w.tb.Context()
	var out []string
	for _, month := range []int{202611, 202612} {
		days, err := w.store.Days(ctx, owner, month)
		must(w.tb, err)
		for _, d := range days {
			out = append(out, fmt.Sprintf("day %d version %d period %d opening %s %d: %s, %d facts, %x", d.Day, d.Version, d.Period,
				d.Usage.Opening.Bytes, d.Usage.Opening.Pins, text(d.Usage), d.Usage.Deltas, d.Usage.Digest))
		}
		all, err := w.store.Adjustments(ctx, owner, month)
		must(w.tb, err)
		for _, a := range all {
			out = append(out, fmt.Sprintf("month %d: %x day %d version %d %s %s %x %x %s", month, a.ID, a.Day, a.Version, a.ByteMS, a.PinMS, a.Old, a.New, a.Reason))
		}
	}
	return strings.Join(out, "\n")
}

// versionsOf is which versions there are of each day of an owner, and what adjustments are charged.
func (w *world) versionsOf(owner string) string {
	w.tb.Helper()
	ctx := w.tb.Context()
	var out []string
	for day := first; day < first+9; day++ {
		rows, err := versions(ctx, w.store, owner, day, day)
		must(w.tb, err)
		if n := len(rows[day]); n > 0 {
			out = append(out, fmt.Sprintf("%d:%d", day-first, n))
		}
	}
	for _, month := range []int{202611, 202612} {
		all, err := w.store.Adjustments(ctx, owner, month)
		must(w.tb, err)
		slices.SortFunc(all, func(a, b ledger.StoredAdjustment) int { return int(a.Day - b.Day) })
		for _, a := range all {
			out = append(out, fmt.Sprintf("%d for %d: %s bytes %s pins, %s", month, a.Day-first, of(a.ByteMS), of(a.PinMS), a.Reason))
		}
	}
	return strings.Join(out, "\n")
}

// of is a number of hours.
func of(n *big.Int) string { return new(big.Rat).SetFrac(n, big.NewInt(3_600_000)).RatString() + " h" }

var errCrash = errors.New("crash")

// dying is a database whose process dies at a write: before it, or after it if late.
type dying struct {
	*scylla.DB
	mu   sync.Mutex
	left int
	late bool
}

// step reports whether the write is made, and whether the process is alive after it.
func (d *dying) step() (made, alive bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left--
	return d.left >= 0 || d.left == -1 && d.late, d.left >= 0
}

func (d *dying) WriteAll(ctx context.Context, all []scylla.Statement) error {
	made, alive := d.step()
	if made {
		if err := d.DB.WriteAll(ctx, all); err != nil {
			return err
		}
	}
	if !alive {
		return errCrash
	}
	return nil
}

func (d *dying) CAS(ctx context.Context, s scylla.Statement) (applied bool, now map[string]any, err error) {
	made, alive := d.step()
	if made {
		if applied, now, err = d.DB.CAS(ctx, s); err != nil {
			return applied, now, err
		}
	}
	if !alive {
		return false, nil, errCrash
	}
	return applied, now, nil
}

func rounds(long int) int {
	if os.Getenv("TEST_LONG") == "1" {
		return long
	}
	return max(2, long/50)
}

// statement is one that a test makes itself.
func statement(text string, values ...any) []scylla.Statement {
	return []scylla.Statement{scylla.Bind(text, values...)}
}
