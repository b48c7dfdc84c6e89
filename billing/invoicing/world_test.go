package invoicing

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

func TestMain(m *testing.M) { os.Exit(cqltest.Main(m)) }

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

// december is the month of most tests, which is over on newYear.
var december = plan.Month{Year: 2026, Month: time.December}

func day(tb testing.TB, text string) plan.Day {
	tb.Helper()
	d, err := plan.ParseDay(text)
	must(tb, err)
	return d
}

// clock is one that is set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newYear() *clock { return &clock{now: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// used is a Usage in memory: what was used on days, and what was adjusted in which month.
type used struct {
	mu       sync.Mutex
	days     map[string]map[plan.Day]plan.Quantities
	adjusted map[string]map[plan.Month][]Adjustment
	unsized  map[string]int64
	held     map[string][]string
	open     map[string]bool
}

func newUsed() *used {
	return &used{
		days: make(map[string]map[plan.Day]plan.Quantities), adjusted: make(map[string]map[plan.Month][]Adjustment),
		unsized: make(map[string]int64), held: make(map[string][]string), open: make(map[string]bool),
	}
}

// gib is so many GiB and pins for a day.
func gib(n, pins int64) plan.Quantities {
	bytes := new(big.Int).Lsh(big.NewInt(n), 30)
	return plan.Quantities{plan.Storage: bytes.Mul(bytes, big.NewInt(plan.DayMS)), plan.Pins: new(big.Int).Mul(big.NewInt(pins), big.NewInt(plan.DayMS))}
}

func (u *used) set(owner string, day plan.Day, q plan.Quantities) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.days[owner] == nil {
		u.days[owner] = make(map[plan.Day]plan.Quantities)
	}
	u.days[owner][day] = q
}

func (u *used) adjust(owner string, month plan.Month, all ...Adjustment) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.adjusted[owner] == nil {
		u.adjusted[owner] = make(map[plan.Month][]Adjustment)
	}
	u.adjusted[owner][month] = append(u.adjusted[owner][month], all...)
}

func (u *used) Owners(_ context.Context, month plan.Month, f func(string) error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for owner, days := range u.days {
		for d := range days {
			if plan.MonthOf(d) == month {
				if err := f(owner); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

func (u *used) Month(_ context.Context, owner string, month plan.Month, cuts []plan.Day) (Used, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(cuts) == 0 || cuts[0] != month.First() || !slices.IsSorted(cuts) {
		return Used{}, fmt.Errorf("the cuts of %s are %v", month, cuts)
	}
	out := Used{Complete: !u.open[owner], Unsized: u.unsized[owner], Held: u.held[owner], Adjustments: slices.Clone(u.adjusted[owner][month])}
	text := fmt.Sprint(owner, month)
	for i, from := range cuts {
		to := month.Next().First()
		if i+1 < len(cuts) {
			to = cuts[i+1]
		}
		sum := plan.Quantities{plan.Storage: new(big.Int), plan.Pins: new(big.Int)}
		for d := from; d < to; d++ {
			for _, meter := range []plan.Meter{plan.Storage, plan.Pins} {
				if n := u.days[owner][d][meter]; n != nil {
					sum[meter].Add(sum[meter], n)
					text += fmt.Sprint(d, meter, n)
				}
			}
		}
		out.Totals = append(out.Totals, sum)
	}
	rand.Shuffle(len(out.Adjustments), func(i, j int) {
		out.Adjustments[i], out.Adjustments[j] = out.Adjustments[j], out.Adjustments[i]
	})
	for _, a := range sorted(out.Adjustments) {
		text += fmt.Sprint(a.ID)
	}
	out.Digest = sha256.Sum256([]byte(text))
	return out, nil
}

// errLost says that a request got no answer, and errDead that the process has died.
var (
	errLost = errors.New("the answer was lost")
	errDead = errors.New("the process is dead")
)

// shaky is a database that works, and whose answers get lost or whose process dies.
type shaky struct {
	*scylla.DB
	mu sync.Mutex
	// left is after how many writes the process dies, counted down; negative is never. The last one
	// is made if after is set.
	left  int
	after bool
	// lose is how many answers of conditional updates are lost next.
	lose int
	// chaos loses some, before or after they are made, and makes some late.
	chaos bool
	late  []scylla.Statement
}

func (s *shaky) step() (make, die bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left < 0 {
		return true, false
	}
	s.left--
	switch {
	case s.left == 0:
		s.left = 0
		return s.after, true
	case s.left < 0:
		s.left = 0
		return false, true
	}
	return true, false
}

func (s *shaky) dead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left == 0
}

func (s *shaky) Read(ctx context.Context, cons gocql.Consistency, q scylla.Statement, dest ...any) (bool, error) {
	if s.dead() {
		return false, errDead
	}
	return s.DB.Read(ctx, cons, q, dest...)
}

func (s *shaky) WriteAll(ctx context.Context, all []scylla.Statement) error {
	if s.dead() {
		return errDead
	}
	do, die := s.step()
	if do {
		if err := s.DB.WriteAll(ctx, all); err != nil {
			return err
		}
	}
	if die {
		return errDead
	}
	return nil
}

func (s *shaky) CAS(ctx context.Context, q scylla.Statement) (bool, map[string]any, error) {
	if s.dead() {
		return false, nil, errDead
	}
	do, die := s.step()
	s.mu.Lock()
	late, dice := s.late, 100
	if s.chaos {
		if dice = rand.IntN(12); dice == 2 {
			s.late, late = append(s.late, q), nil
		} else if dice > 5 {
			s.late = nil
		} else {
			late = nil
		}
	}
	s.mu.Unlock()
	if dice > 2 {
		for _, l := range late {
			if _, _, err := s.DB.CAS(ctx, l); err != nil {
				return false, nil, err
			}
		}
	}
	if dice == 1 || dice == 2 {
		return false, nil, errLost
	}
	if !do {
		return false, nil, errDead
	}
	applied, now, err := s.DB.CAS(ctx, q)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case die:
		return false, nil, errDead
	case err == nil && (s.lose > 0 || dice == 0):
		s.lose = max(0, s.lose-1)
		return false, nil, errLost
	}
	return applied, now, err
}

const planText = `
plan: standard
version: %d
currency: USD
effective: %s
month_basis: calendar
rounding: {line: half_even, digits: 2}
tiers: reset
charges:
  - meter: storage_byte_ms
    unit: GiB-month
    model: graduated
    included: "5"
    tiers:
      - {up_to: "100", unit_price: "%s"}
      - {up_to: inf, unit_price: "0.015"}
  - meter: pin_ms
    unit: pin-month
    model: package
    package_size: "1000"
    price: "0.10"
minimum: {amount: "2.00", prorate: true}
`

func standard(version int, from, price string) []byte {
	return fmt.Appendf(nil, planText, version, from, price)
}

// world is a keyspace with a plan, a clock and what was used.
type world struct {
	tb    testing.TB
	db    *scylla.DB
	clock *clock
	used  *used
}

func newWorld(tb testing.TB) *world {
	w := &world{tb: tb, db: openDB(tb), clock: newYear(), used: newUsed()}
	_, err := w.office(nil).PutPlan(tb.Context(), "standard", standard(1, "2026-01-01T00:00:00Z", "0.02"))
	must(tb, err)
	return w
}

// office returns an Office as another process would have it.
func (w *world) office(db Database, change ...func(*Options)) *Office {
	w.tb.Helper()
	if db == nil {
		db = w.db
	}
	vat, err := invoice.ParseDecimal("19")
	must(w.tb, err)
	opts := Options{
		Database: db, Usage: w.used, Seller: invoice.Party{Name: "Pinning Ltd", TaxID: "IE1"}, Regions: invoice.Regions{{Name: "DE", Rates: []invoice.Rate{{Name: "VAT", Percent: vat}}}},
		Series: "A", CreditSeries: "C", Terms: 14, Source: "/billing/test", Now: w.clock.Now,
		Buyer: func(_ context.Context, owner string) (Buyer, error) {
			if strings.HasPrefix(owner, "nobody") {
				return Buyer{}, fmt.Errorf("%s is unknown: %w", owner, ErrHeld)
			}
			return Buyer{Party: invoice.Party{Name: "Owner " + owner}, Region: "DE"}, nil
		},
	}
	for _, f := range change {
		f(&opts)
	}
	o, err := New(opts)
	must(w.tb, err)
	return o
}

// owner gives an owner the plan, and something used on a day of December: 60 GiB and 10 pins, which
// costs 1.00 and 19 % a GiB-month above, with the minimum.
func (w *world) owner(name string, gibs int64) {
	w.tb.Helper()
	must(w.tb, w.office(nil).Give(w.tb.Context(), name, plan.Assignment{From: day(w.tb, "2026-01-01"), Plan: "standard"}, "test"))
	for d := december.First(); d < december.Next().First(); d++ {
		w.used.set(name, d, gib(gibs, 10))
	}
}

func usd(tb testing.TB, text string) money.Amount {
	tb.Helper()
	c, err := money.ByCode("USD")
	must(tb, err)
	a, err := money.Parse(text, c)
	must(tb, err)
	return a
}

// kept is what the tables have of a number.
type kept struct {
	owner  string
	state  invoice.State
	doc    string
	issued invoice.Date
}

// check fails the test unless the numbers of a series are 1 to n, each of one document that
// names it, and every document has one number. It returns them.
func (w *world) check(series string, n int) map[string]kept {
	w.tb.Helper()
	o := w.office(nil)
	whose := make(map[int64]place)
	for block := range int64(2) {
		must(w.tb, o.eachNumber(w.tb.Context(), series, block, func(n int64, at place) error {
			whose[n] = at
			return nil
		}))
	}
	out, seen := make(map[string]kept), make(map[place]bool)
	for i := int64(1); i <= int64(n); i++ {
		at, ok := whose[i]
		if !ok {
			w.tb.Errorf("the number %s is not there", text(series, i))
			continue
		}
		if seen[at] {
			w.tb.Errorf("the %s has two numbers", at)
		}
		seen[at] = true
		r, err := o.row(w.tb.Context(), at)
		must(w.tb, err)
		d, err := r.document()
		must(w.tb, err)
		if r.draft() || d.Number != text(series, i) || r.number != d.Number || d.Owner != at.owner {
			w.tb.Errorf("the %s is %s, its document %q of %q, and its number %s", at, r.state, d.Number, d.Owner, text(series, i))
		}
		if got, err := o.Document(w.tb.Context(), d.Number); err != nil || got.Number != d.Number || got.Owner != d.Owner {
			w.tb.Errorf("%s is found as %+v, %v", d.Number, got, err)
		}
		out[d.Number] = kept{d.Owner, r.state, r.doc, d.Issued}
	}
	if len(whose) != n {
		w.tb.Errorf("there are %d numbers of %s, want %d: %v", len(whose), series, n, whose)
	}
	iter := w.db.Session.Query("SELECT number FROM invoices").WithContext(w.tb.Context()).Iter()
	documents := make(map[string]bool)
	for number := ""; iter.Scan(&number); {
		if number != "" && documents[number] {
			w.tb.Errorf("two documents have the number %s", number)
		}
		documents[number] = true
	}
	must(w.tb, iter.Close())
	return out
}
