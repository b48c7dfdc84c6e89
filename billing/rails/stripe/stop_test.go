package stripe

import (
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/stripe/stripefake"
)

// TestStopAnywhere stops a process at each of its steps, and lets another one go on: at
// once, and after Stripe has forgotten the keys. There is one invoice, with its lines.
func TestStopAnywhere(t *testing.T) {
	for _, forget := range []bool{false, true} {
		at := 0
		for ; ; at++ {
			w := newWorld(t)
			invoice := w.invoice()
			w.stops.arm(at)
			_, err := w.process().Collect(t.Context(), invoice)
			what, stopped := w.stops.stopped()
			if !stopped {
				if err != nil {
					t.Fatalf("it failed without a stop: %v", err)
				}
				break
			}
			if err == nil {
				t.Errorf("stopped at %d, %s, it did not fail", at, what)
			}
			w.stops.arm(-1)
			if forget {
				w.fake.ForgetKeys()
			}
			request, err := w.process().Collect(t.Context(), invoice)
			if err != nil {
				t.Errorf("stopped at %d, %s: %v", at, what, err)
				continue
			}
			if err := w.onlyOne(invoice, request); err != nil {
				t.Errorf("stopped at %d, %s: %v", at, what, err)
			}
		}
		if at < 30 {
			t.Errorf("it was stopped at %d steps only", at)
		}
		t.Logf("stopped at %d steps", at)
	}
}

// TestStopAgainAndAgain stops one process after the other at steps by chance, until one
// comes through; sometimes Stripe forgets its keys meanwhile.
func TestStopAgainAndAgain(t *testing.T) {
	runs := 60
	if os.Getenv("TEST_LONG") == "1" {
		runs = 500
	}
	for seed := range uint64(runs) {
		random := rand.New(rand.NewPCG(seed, 19)) //nolint:gosec // repeatable
		w := newWorld(t)
		invoice := w.invoice()
		request, err := rails.Request{}, errStopped
		stops := 0
		for ; err != nil; stops++ {
			w.stops.arm(random.IntN(8 + 4*stops))
			if random.IntN(4) == 0 {
				w.fake.ForgetKeys()
			}
			request, err = w.process().Collect(t.Context(), invoice)
			if _, stopped := w.stops.stopped(); err != nil && !stopped {
				t.Fatalf("seed %d: it failed without a stop: %v", seed, err)
			}
		}
		if err := w.onlyOne(invoice, request); err != nil {
			t.Fatalf("seed %d, after %d stops: %v", seed, stops, err)
		}
		w.end()
	}
}

// TestLinesThatAreThereTwice shows that of those one stays.
func TestLinesThatAreThereTwice(t *testing.T) {
	w := newWorld(t)
	invoice := w.invoice()
	for at := 0; len(w.fake.All("invoiceitem")) < 2; at++ {
		w = newWorld(t)
		w.stops.arm(at)
		_, err := w.process().Collect(t.Context(), invoice)
		later(t, err)
	}
	w.stops.arm(-1)
	w.fake.Double()
	if err := w.onlyOne(invoice, w.collect(w.process(), invoice)); err != nil {
		t.Error(err)
	}
}

// TestAnotherWasFaster shows that of two drafts the one becomes final whose id is in the
// journal, and that the other one is deleted.
func TestAnotherWasFaster(t *testing.T) {
	w := newWorld(t)
	invoice := w.invoice()
	other := ""
	w.journal.Fail = func(method, key string, done bool) error {
		if method != "Remember" || key != "inv:2026-17:0:create" || done || other != "" {
			return nil
		}
		other = w.fake.Draft("cus_acme", "usd", map[string]string{metaNumber: invoice.Number, metaRevision: "0"})
		_, err := w.journal.Remember(background(t), Name, key, other)
		return err
	}
	request := w.collect(w.process(), invoice)
	if err := w.onlyOne(invoice, request); err != nil || request.Reference != other {
		t.Errorf("%v, final is %s, not %s", err, request.Reference, other)
	}
}

// TestStopOfCancel stops a process that cancels at each of its steps, whatever there was to
// cancel; in the end nothing is asked.
func TestStopOfCancel(t *testing.T) {
	for collected := 0; ; collected += 5 {
		come := false
		for at := 0; ; at++ {
			w := newWorld(t)
			invoice := w.invoice()
			w.stops.arm(collected)
			_, err := w.process().Collect(t.Context(), invoice)
			come = err == nil
			w.fake.ForgetKeys()
			w.stops.arm(at)
			err = w.process().Cancel(t.Context(), invoice.Number)
			what, stopped := w.stops.stopped()
			if !stopped && err != nil {
				t.Fatalf("collected up to %d: cancelling failed without a stop: %v", collected, err)
			}
			w.stops.arm(-1)
			if err := w.process().Cancel(t.Context(), invoice.Number); err != nil {
				t.Errorf("collected up to %d, cancelled up to %s: %v", collected, what, err)
			}
			for _, in := range w.fake.All("invoice") {
				if in["status"] != "void" {
					t.Errorf("collected up to %d, cancelled up to %s: Stripe has %v", collected, what, in)
				}
			}
			if !stopped {
				break
			}
		}
		if come {
			return
		}
	}
}

// TestNextRevision stops a process that cancels at each of its steps, and asks with the next
// revision: nothing of the one before can be paid any more.
func TestNextRevision(t *testing.T) {
	asked := 0
	for at := 0; ; at++ {
		w := newWorld(t)
		invoice := w.invoice()
		first := w.collect(w.process(), invoice)
		w.stops.arm(at)
		_ = w.process().Cancel(t.Context(), invoice.Number)
		what, stopped := w.stops.stopped()
		w.stops.arm(-1)
		invoice.Rev = 1
		next, err := w.process().Collect(t.Context(), invoice)
		if err != nil {
			refused(t, err, "cancel it first")
			continue
		}
		asked++
		if w.status(first.Reference) != "void" || w.status(next.Reference) != "open" {
			t.Errorf("cancelled up to %s: the first is %s, the next %s", what, w.status(first.Reference), w.status(next.Reference))
		}
		if !stopped {
			break
		}
	}
	if asked < 3 {
		t.Errorf("the next revision was asked %d times", asked)
	}
}

// TestCancelBesides cancels while another process collects, at each of its steps: before
// and after each call of the journal and each request. It is asked no longer in the end,
// whatever that process was about to do.
func TestCancelBesides(t *testing.T) {
	at := 0
	for ; ; at++ {
		w := newWorld(t)
		invoice := w.invoice()
		var steps, cancelled atomic.Int64
		step := func() {
			if steps.Add(1)-1 == int64(at) {
				cancelled.Add(1)
				if err := w.process().Cancel(background(t), invoice.Number); err != nil {
					t.Errorf("step %d: cancelling: %v", at, err)
				}
			}
		}
		w.journal.Fail = func(string, string, bool) error { step(); return nil }
		w.fake.Fault = func(string, string) stripefake.Fault { step(); return stripefake.None }
		_, err := w.process().Collect(t.Context(), invoice)
		if cancelled.Load() == 0 {
			break
		}
		ended, err2 := w.journal.Recall(t.Context(), Name, "inv:2026-17:0:ended")
		if err2 != nil {
			t.Fatal(err2)
		}
		if ended == "" {
			// It was not begun when it was cancelled.
			if err != nil || len(w.fake.All("invoice")) != 1 {
				t.Errorf("step %d: %v", at, err)
			}
			continue
		}
		if err != nil {
			refused(t, err, "it was cancelled")
		}
		for _, in := range w.fake.All("invoice") {
			if in["status"] != "void" {
				t.Errorf("step %d: Stripe has %v", at, in)
			}
		}
	}
	if at < 20 {
		t.Errorf("it was cancelled at %d steps only", at)
	}
}
