package invoicing

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

func (w *world) heldIn(month plan.Month) map[string]string {
	w.tb.Helper()
	out := make(map[string]string)
	must(w.tb, w.office(nil).EachHeld(w.tb.Context(), month, func(h Held) error {
		out[h.Owner] = h.Why
		return nil
	}))
	return out
}

// A run issues for everybody, is gone on with after crashes, and says who is held and why.
func TestRun(t *testing.T) {
	w := newWorld(t)
	const owners = 2*stepOwners + 10
	for i := range owners {
		w.owner(fmt.Sprintf("owner%03d", i), 60)
	}
	w.owner("nobody", 60)
	w.used.set("planless", december.First(), gib(1, 1))
	w.used.held["owner007"] = []string{"negative"}
	crashed, done := 0, 0
	for k := 1000; ; k += 300 {
		db := &shaky{DB: w.db, left: k}
		begun := done
		_, err := w.office(db).Run(t.Context(), december, fmt.Sprint("run", k), func(p Progress) {
			if p.Done <= begun {
				t.Errorf("it began anew: %d are done, and were %d", p.Done, begun)
			}
		})
		p, err2 := w.office(nil).Progress(t.Context(), december)
		must(t, err2)
		if p.Done < done {
			t.Errorf("it went back from %d to %d", done, p.Done)
		}
		done = p.Done
		must(t, w.db.Session.Query("TRUNCATE leases").Exec())
		if err == nil {
			break
		}
		if !errors.Is(err, errDead) {
			t.Fatal(err)
		}
		if done > 0 {
			crashed++
		}
	}
	p, err := w.office(nil).Progress(t.Context(), december)
	if err != nil || p.Owners != owners+2 || p.Done != owners+2 || p.Issued != owners-1 || p.Held != 3 || p.Ended.IsZero() || crashed == 0 {
		t.Errorf("it ended as %+v, %v, after %d crashes", p, err, crashed)
	}
	h := w.heldIn(december)
	if len(h) != 3 || !strings.Contains(h["owner007"], "negative") || !strings.Contains(h["planless"], "no plan") || !strings.Contains(h["nobody"], "unknown") {
		t.Errorf("held are %v", h)
	}
	w.check("A", owners-1)
	w.used.held["owner007"] = nil
	shown := 0
	p, err = w.office(nil).Run(t.Context(), december, "again", func(p Progress) { shown = p.Done })
	if err != nil || p.Issued != owners || p.Held != 2 || shown != owners+2 {
		t.Errorf("again it ended as %+v, %v, and %d were shown", p, err, shown)
	}
	if h := w.heldIn(december); len(h) != 2 {
		t.Errorf("held are %v", h)
	}
	w.check("A", owners)
}

// One runs a month at a time, and one whose lease was taken over notes nothing any more.
func TestRunTaken(t *testing.T) {
	w := newWorld(t)
	w.owner("alice", 60)
	taken := false
	_, err := w.office(nil).Run(t.Context(), december, "one", nil)
	must(t, err)
	slow := &overtaken{shaky: &shaky{DB: w.db, left: -1}, before: func() {
		if !taken {
			taken = true
			if _, err := w.office(nil).Run(t.Context(), december, "two", nil); !errors.Is(err, ErrTaken) {
				t.Errorf("two at once: %v", err)
			}
			must(t, w.db.Session.Query("TRUNCATE leases").Exec())
			_, err := w.office(nil).Run(t.Context(), december, "two", nil)
			must(t, err)
		}
	}}
	if _, err := w.office(slow).Run(t.Context(), december, "one", nil); !errors.Is(err, ErrFenced) {
		t.Errorf("the first one goes on: %v", err)
	}
	if _, err := w.office(nil).Run(t.Context(), december.Next(), "one", nil); !errors.Is(err, ErrHeld) {
		t.Errorf("a month that is not over: %v", err)
	}
}

// overtaken is a database of a process that is overtaken when it looks for who is who.
type overtaken struct {
	*shaky
	before func()
}

func (o *overtaken) WriteAll(ctx context.Context, all []scylla.Statement) error {
	o.before()
	return o.shaky.WriteAll(ctx, all)
}

// What an owner is charged for months, corrections and all, is what they cost as they were in the end;
// each correction is a line with its reason.
func TestCorrections(t *testing.T) {
	w := newWorld(t)
	o := w.office(nil)
	months := []plan.Month{{Year: 2026, Month: 9}, {Year: 2026, Month: 10}, {Year: 2026, Month: 11}, december}
	for n := range 6 {
		owner := fmt.Sprint("owner", n)
		must(t, o.Give(t.Context(), owner, plan.Assignment{From: day(t, "2026-01-01"), Plan: "standard"}, "test"))
		truth := make(map[plan.Day]plan.Quantities)
		for _, m := range months {
			for d := m.First(); d < m.Next().First(); d++ {
				q := gib(rand.Int64N(200), rand.Int64N(3000))
				w.used.set(owner, d, q)
				truth[d] = q
			}
		}
		want := 0
		for i, m := range months {
			for v := range 3 {
				of := months[rand.IntN(i+1)]
				d := of.First() + plan.Day(rand.IntN(of.Days()))
				more := gib(rand.Int64N(100), rand.Int64N(50))
				a := Adjustment{ID: [32]byte{byte(n), byte(i), byte(v), 1}, Day: d, Version: int64(10*i + v), ByteMS: more[plan.Storage], PinMS: more[plan.Pins], Reason: fmt.Sprint("late ", v)}
				if v == 2 { // take back
					a.ByteMS = new(big.Int).Neg(new(big.Int).Rsh(truth[d][plan.Storage], 1))
					a.PinMS = new(big.Int)
				}
				truth[d] = plan.Quantities{plan.Storage: new(big.Int).Add(truth[d][plan.Storage], a.ByteMS), plan.Pins: new(big.Int).Add(truth[d][plan.Pins], a.PinMS)}
				want += len(a.parts())
				w.used.adjust(owner, m, a, a)
			}
		}
		book, err := o.Book(t.Context())
		must(t, err)
		schedule, err := o.planned(t.Context(), book, owner)
		must(t, err)
		charged, cost := usd(t, "0"), usd(t, "0")
		lines := 0
		for _, m := range months {
			d, err := o.draft(t.Context(), owner, m, schedule, Buyer{invoice.Party{Name: "x"}, "DE", nil}, true)
			must(t, err)
			charged = plus(t, charged, d.Totals.Net)
			for _, l := range d.Lines {
				if l.Kind == kindCorrection {
					if lines++; !strings.Contains(l.Description, ": late ") || l.Measured.IsZero() {
						t.Errorf("a correction is %+v", l)
					}
				}
			}
			var days []plan.DayUsage
			for day := m.First(); day < m.Next().First(); day++ {
				days = append(days, plan.DayUsage{Day: day, Used: truth[day]})
			}
			rating, err := schedule.Rate(m, days)
			must(t, err)
			cost = plus(t, cost, rating.Total)
		}
		if same, err := charged.Cmp(cost); err != nil || same != 0 || lines != want {
			t.Errorf("%s is charged %s with %d corrections, and the months cost %s, with %d", owner, charged, lines, cost, want)
		}
	}
}

func plus(tb testing.TB, a, b money.Amount) money.Amount {
	tb.Helper()
	sum, err := a.Add(b)
	must(tb, err)
	return sum
}
