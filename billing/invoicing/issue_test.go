package invoicing

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

func series(name string) func(*Options) {
	return func(o *Options) { o.Series, o.CreditSeries = name, name+"c" }
}

// An invoice has its number, its bytes and its days, whoever asks for it again and whatever has
// changed since.
func TestIssue(t *testing.T) {
	w := newWorld(t)
	w.owner("alice", 60)
	o := w.office(nil)
	preview, err := o.Preview(t.Context(), "alice", december)
	must(t, err)
	d, err := o.Issue(t.Context(), "alice", december)
	must(t, err)
	if d.Number != "A-000001" || d.State != invoice.Open || d.Issued.String() != "2027-01-02" || d.Due.String() != "2027-01-16" || d.Totals.Gross.Text() != "2.38" {
		t.Errorf("it is %+v", d)
	}
	if was, err := d.DraftDigest(); err != nil {
		t.Error(err)
	} else if is, err := preview.Digest(); err != nil || was != is {
		t.Errorf("the preview has the digest %s, and the draft %s, %v", is, was, err)
	}
	w.clock.add(100 * 24 * time.Hour)
	changed := w.office(nil, series("B"), func(o *Options) { o.Terms, o.Seller.Name = 3, "Another Ltd" })
	again, err := changed.Issue(t.Context(), "alice", december)
	if err != nil || again.Digest != d.Digest {
		t.Errorf("again it is %+v, %v", again, err)
	}
	same, doc, err := changed.Recompute(t.Context(), d.Number)
	if err != nil || !same {
		t.Errorf("worked out again it is %+v, %v", doc, err)
	}
	w.used.set("alice", december.First(), gib(61, 10))
	if same, _, err := o.Recompute(t.Context(), d.Number); err != nil || same {
		t.Errorf("from other days it is the same: %t, %v", same, err)
	}
	w.check("A", 1)
	all, err := o.Documents(t.Context(), "alice")
	if err != nil || len(all) != 1 || all[0].Digest != d.Digest {
		t.Errorf("alice has %+v, %v", all, err)
	}
	if _, err := o.Document(t.Context(), "A-000002"); !errors.Is(err, ErrUnknown) {
		t.Errorf("another number: %v", err)
	}
	must(t, w.db.Session.Query("UPDATE invoices SET doc = ? WHERE owner = 'alice' AND period = 202612 AND rev = 0", strings.Replace(string(mustCanonical(t, d.Document)), "Owner alice", "Owner alicf", 1)).Exec())
	if d, err := o.Document(t.Context(), "A-000001"); err == nil || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("a document that was changed: %+v, %v", d, err)
	}
}

func mustCanonical(tb testing.TB, d invoice.Document) []byte {
	tb.Helper()
	text, err := d.Canonical()
	must(tb, err)
	return text
}

// What is wrong holds an invoice, and says why.
func TestHeld(t *testing.T) {
	w := newWorld(t)
	for _, owner := range []string{"open", "negative", "unsized", "nobody"} {
		w.owner(owner, 60)
	}
	w.used.open["open"], w.used.held["negative"], w.used.unsized["unsized"] = true, []string{"on 2026-12-03 a level was below zero"}, 3
	w.used.set("planless", december.First(), gib(1, 1))
	must(t, w.office(nil).Give(t.Context(), "late", plan.Assignment{From: day(t, "2026-12-10"), Plan: "standard"}, "test"))
	w.used.set("late", day(t, "2026-12-09"), gib(1, 1))
	for owner, want := range map[string]string{
		"open": "not all days", "negative": "below zero", "unsized": "3 pins", "nobody": "unknown", "planless": "no plan was in force", "late": "when no plan was in force",
	} {
		_, err := w.office(nil).Issue(t.Context(), owner, december)
		if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", owner, err, want)
		}
	}
	if _, err := w.office(nil).Issue(t.Context(), "open", december.Next()); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), "is not over") {
		t.Errorf("a month that is not over: %v", err)
	}
	w.check("A", 0)
}

// Plans of a month that has a draft are decided.
func TestDecided(t *testing.T) {
	w := newWorld(t)
	w.owner("alice", 60)
	o := w.office(nil)
	_, err := o.Issue(t.Context(), "alice", december)
	must(t, err)
	for from, want := range map[string]error{"2026-12-15": ErrDecided, "2026-06-01": ErrDecided, "2026-01-01": nil, "2027-01-01": nil} {
		if err := o.Give(t.Context(), "alice", plan.Assignment{From: day(t, from), Plan: "standard"}, "test"); !errors.Is(err, want) {
			t.Errorf("from %s: %v, want %v", from, err, want)
		}
	}
	if err := o.Give(t.Context(), "alice", plan.Assignment{From: day(t, "2027-01-01"), Plan: "standard", Version: 1}, "test"); !errors.Is(err, ErrDecided) {
		t.Errorf("another one from the same day: %v", err)
	}
	if err := o.Give(t.Context(), "alice", plan.Assignment{From: day(t, "2027-03-01"), Plan: "standard", Version: 2}, "test"); err == nil {
		t.Error("a version that is not there was given")
	}
	if given, err := o.Given(t.Context(), "alice"); err != nil || len(given) != 2 || given[0].MadeBy != "test" {
		t.Errorf("alice has %+v, %v", given, err)
	}
}

// Versions are what they were, and follow one another.
func TestPlans(t *testing.T) {
	w := newWorld(t)
	o := w.office(nil)
	put := func(text []byte) error {
		_, err := o.PutPlan(t.Context(), "standard", text)
		return err
	}
	must(t, put(standard(1, "2026-01-01T00:00:00Z", "0.020")))
	for what, text := range map[string][]byte{
		"another text": standard(1, "2026-01-01T00:00:00Z", "0.03"), "a gap": standard(3, "2027-06-01T00:00:00Z", "0.03"),
		"the past": standard(2, "2026-12-15T00:00:00Z", "0.03"), "today": standard(2, "2027-01-02T00:00:00Z", "0.03"), "no plan": []byte("plan: x"),
	} {
		if err := put(text); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	added := 0
	for i := range 4 {
		all.Go(func() {
			_, err := w.office(nil).PutPlan(t.Context(), "standard", standard(2, "2027-02-01T00:00:00Z", fmt.Sprintf("0.0%d", i+3)))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				added++
			} else if !errors.Is(err, ErrPlan) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if added != 1 {
		t.Errorf("%d texts of a version were added", added)
	}
	book, err := o.Book(t.Context())
	if err != nil || len(book.Plans()) != 2 {
		t.Fatalf("the book has %v, %v", book, err)
	}
	must(t, w.db.Session.Query("UPDATE plans SET doc = ? WHERE plan = 'standard' AND version = 1", string(standard(1, "2026-01-01T00:00:00Z", "0.01"))).Exec())
	if _, err := o.Book(t.Context()); err == nil || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("a plan that was changed: %v", err)
	}
}

// A process that dies after any write leaves nothing that the next one does not finish: no number is
// lost or doubled, and the bytes are those of the moment at which the number was taken.
func TestCrashWhileIssuing(t *testing.T) {
	w := newWorld(t)
	steps := 0
	for k := 1; ; k++ {
		finished := false
		for _, after := range []bool{false, true} {
			name := fmt.Sprintf("S%d%t", k, after)
			alice, bob := "alice"+name, "bob"+name
			w.owner(alice, 60)
			w.owner(bob, 60)
			before := w.clock.Now()
			_, err := w.office(&shaky{DB: w.db, left: k, after: after}, series(name)).Issue(t.Context(), alice, december)
			finished = err == nil
			w.clock.add(26 * time.Hour)
			_, err = w.office(nil, series(name)).Issue(t.Context(), bob, december)
			must(t, err)
			w.clock.add(26 * time.Hour)
			d, err := w.office(nil, series(name)).Issue(t.Context(), alice, december)
			must(t, err)
			got := w.check(name, 2)
			if d.Number == text(name, 1) && d.Issued != invoice.DateOf(before) || d.Number == text(name, 2) && d.Issued != invoice.DateOf(w.clock.Now()) && d.Issued != invoice.DateOf(before) {
				t.Errorf("%s: %s is issued on %s, it was begun on %s", name, d.Number, d.Issued, before)
			}
			if got[d.Number].doc != string(mustCanonical(t, d.Document)) || got[d.Number].owner != alice {
				t.Errorf("%s: the document is another one", name)
			}
			steps = k
		}
		if finished {
			break
		}
	}
	if steps < 8 {
		t.Errorf("there are %d steps", steps)
	}
}

// What has a number and no document is issued by whoever looks, without being asked for its owner.
func TestFinish(t *testing.T) {
	w := newWorld(t)
	w.owner("alice", 60)
	for k := 1; ; k++ {
		if _, err := w.office(&shaky{DB: w.db, left: 1, after: true}).Issue(t.Context(), "alice", december); err == nil {
			t.Fatal("it did not stop")
		}
		top, err := w.office(nil).nextNumber(t.Context(), "A")
		must(t, err)
		if top == 2 { // the number is taken
			break
		}
		if k > 20 {
			t.Fatal("no number was taken")
		}
	}
	n, err := w.office(nil).Finish(t.Context(), "A")
	if err != nil || n != 1 {
		t.Errorf("%d were finished, %v", n, err)
	}
	if n, err = w.office(nil).Finish(t.Context(), "A"); err != nil || n != 0 {
		t.Errorf("again: %d were finished, %v", n, err)
	}
	w.check("A", 1)
}

// Two processes at once, and answers that are lost before and after what they are of was done, and
// updates that come late: no number is lost or doubled.
func TestIssueAtOnce(t *testing.T) {
	w := newWorld(t)
	const owners = 16
	for i := range owners {
		w.owner(fmt.Sprint("owner", i), 60+int64(i))
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	digests := make(map[string]string)
	for range 2 {
		o := w.office(&shaky{DB: w.db, left: -1, chaos: true})
		for i := range owners {
			all.Go(func() {
				owner := fmt.Sprint("owner", i)
				for range 20 {
					d, err := o.Issue(t.Context(), owner, december)
					if errors.Is(err, errLost) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					if digests[owner] == "" {
						digests[owner] = d.Digest
					}
					if digests[owner] != d.Digest {
						t.Errorf("%s has two documents", owner)
					}
					return
				}
				t.Errorf("%s has no document", owner)
			})
		}
	}
	all.Wait()
	w.check("A", owners)
}

// An outcome that is never known is none: nothing else is tried, and what follows finds out.
func TestUnknownOutcome(t *testing.T) {
	w := newWorld(t)
	for lose := 1; lose <= 6*scylla.DecideTries; lose += 3 {
		name := fmt.Sprint("L", lose)
		w.owner(name, 60)
		w.owner(name+"b", 60)
		db := &shaky{DB: w.db, left: -1, lose: lose}
		o := w.office(db, series(name))
		_, err := o.Issue(t.Context(), name, december)
		if known := lose < scylla.DecideTries; (err == nil) != known || err != nil && !errors.Is(err, errLost) {
			t.Errorf("with %d lost answers: %v", lose, err)
		}
		_, err = w.office(nil, series(name)).Issue(t.Context(), name+"b", december)
		must(t, err)
		for err = errLost; err != nil; _, err = o.Issue(t.Context(), name, december) {
			if !errors.Is(err, errLost) {
				t.Fatal(err)
			}
		}
		w.check(name, 2)
	}
}

// Numbers go on from one block to the next.
func TestBlocks(t *testing.T) {
	w := newWorld(t)
	w.owner("alice", 60)
	w.owner("bob", 60)
	must(t, w.db.Session.Query("INSERT INTO numbers (series, block, number, owner, period, rev) VALUES ('A', 0, ?, 'x', 1, 0)", blockNumbers-2).Exec())
	for i, owner := range []string{"alice", "bob"} {
		d, err := w.office(nil).Issue(t.Context(), owner, december)
		if want := text("A", int64(blockNumbers-1+i)); err != nil || d.Number != want {
			t.Errorf("%s has %s, %v, want %s", owner, d.Number, err, want)
		}
	}
	if next, err := w.office(nil).nextNumber(t.Context(), "A"); err != nil || next != blockNumbers+1 {
		t.Errorf("the next one is %d, %v", next, err)
	}
}
