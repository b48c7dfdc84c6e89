package chaintest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/erc20"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/filecoinpay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/railstest"
)

var errStopped = errors.New("the process stops here")

// stopAt has the n-th call of a journal fail from now on, before or after it takes effect,
// and returns how many calls there were.
func stopAt(journal *railstest.Journal, n int, after bool) func() int {
	calls := 0
	journal.Fail = func(_, _ string, done bool) error {
		if !done {
			calls++
		}
		if calls == n && done == after {
			calls++ // one call only: the next process does not fail
			return errStopped
		}
		return nil
	}
	return func() int { return calls }
}

// TestTransfersStopAnywhere stops the process before and after each call of the journal,
// while it asks for invoices and reads a chain with transfers that are final and that are
// not. Another process goes on, and all is recorded as without the stop.
func TestTransfersStopAnywhere(t *testing.T) {
	s := newShop(t)
	a, b := s.ask(invoice("A", 1000)).Asked, s.ask(invoice("B", 2000)).Asked
	ids := []string{s.pay(s.usdc, s.to, a), s.pay(s.usdc, s.to, a), s.pay(s.bridged, s.to, b)}
	s.mine(5)
	ids = append(ids, s.pay(s.usdc, s.to, b), s.pay(s.usdc, s.to, b))
	work := func() error {
		for _, i := range []rails.Invoice{invoice("A", 1000), invoice("B", 2000)} {
			if _, err := s.collector.Collect(t.Context(), i); err != nil {
				return err
			}
		}
		return s.rail.Poll(t.Context())
	}
	s.journal = new(railstest.Journal)
	s.restart()
	must(t, work())
	want := s.recorded(ids)
	stops := 0
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			s.journal = new(railstest.Journal)
			s.restart()
			calls := stopAt(s.journal, n, after)
			if err := work(); err == nil {
				if calls() < n {
					break // there are fewer calls
				}
				continue // nothing fails after a call that only reads
			} else if !errors.Is(err, errStopped) {
				t.Fatal(err)
			}
			stops++
			s.restart()
			must(t, work())
			if got := s.recorded(ids); got != want {
				t.Errorf("stopped at call %d, after it: %v\nrecorded: %s\nwant: %s", n, after, got, want)
			}
		}
	}
	if t.Logf("stopped %d times", stops); stops < 40 {
		t.Errorf("it was stopped %d times: this test shows little", stops)
	}
}

// recorded writes what the journal has of some transfers.
func (s *shop) recorded(ids []string) string {
	text := fmt.Sprint(s.journal.Payments())
	for _, id := range ids {
		p, ok := s.journal.Payment(erc20.Name, id)
		text += fmt.Sprintf("\n%v %+v", ok, p)
	}
	return text
}

// TestChargesStopAnywhere stops the process before and after each call of the journal and of
// the node, while it charges an invoice. Another process goes on, and the invoice is
// charged once.
func TestChargesStopAnywhere(t *testing.T) {
	b := newTill(t)
	step := 9 // a few of the stops: each takes some blocks
	if os.Getenv("TEST_LONG") != "" {
		step = 1
	}
	charged, stops, offset := 0, 0, 0
	for name, stop := range map[string]func(n int) (reached func() bool){
		"before the journal": func(n int) func() bool { return b.stopJournal(n, false) },
		"after the journal":  func(n int) func() bool { return b.stopJournal(n, true) },
		"before the node":    b.stopBeforeNode,
		"after the node":     b.stopAfterNode,
	} {
		first := 1 + offset%step
		offset += 2 // others of each kind
		for n := first; ; n += step {
			i := b.bill(fmt.Sprintf("%s %d", name, n), 1)
			reached := stop(n)
			for range 10 {
				if _, err := b.rail.Collect(t.Context(), i); err == nil {
					break
				}
				if reached() {
					b.restart()
				}
				b.mine(1)
			}
			was := reached()
			b.journal.Fail = nil
			b.intercept(nil)
			b.alter(nil)
			b.restart()
			tx := b.collect(i)
			b.mine(1)
			must(t, b.rail.Poll(t.Context()))
			b.expectPaid(tx, i.Number, 1, false)
			charged++
			if times, _ := b.charged(); times != charged {
				t.Fatalf("%s, call %d: charged %d times, want %d", name, n, times, charged)
			}
			if !was {
				break
			}
			stops++
		}
	}
	b.expectCharged(charged, int64(charged))
	if t.Logf("stopped %d times", stops); stops < 80/step-4 {
		t.Errorf("it was stopped %d times: this test shows little", stops)
	}
}

func (b *till) stopJournal(n int, after bool) func() bool {
	calls := stopAt(b.journal, n, after)
	return func() bool { return calls() > n }
}

func (b *till) stopBeforeNode(n int) func() bool {
	calls := 0
	b.intercept(func(string, []json.RawMessage) (any, *nodeError) {
		if calls++; calls == n {
			return nil, &nodeError{-32603, "the node stops here"}
		}
		return nil, nil
	})
	return func() bool { return calls > n }
}

// stopAfterNode has the node do what it is asked, and answer nonsense.
func (b *till) stopAfterNode(n int) func() bool {
	calls := 0
	b.alter(func(_ string, _ []json.RawMessage, result json.RawMessage) json.RawMessage {
		if calls++; calls == n {
			return json.RawMessage(`["lost"]`)
		}
		return result
	})
	return func() bool { return calls > n }
}

// TestTwoProcessesCharge has several processes charge the same invoices at once.
func TestTwoProcessesCharge(t *testing.T) {
	b := newTill(t)
	numbers := []string{"A", "B", "C"}
	done := make(chan error)
	for range 3 {
		b.restart()
		rail := b.rail
		go func() {
			var problems []error
			for _, number := range numbers {
				if _, err := rail.Collect(t.Context(), b.bill(number, 100)); errors.As(err, new(*rails.Refusal)) {
					problems = append(problems, err)
				}
			}
			done <- errors.Join(problems...)
		}()
	}
	for range 3 {
		must(t, <-done)
	}
	for _, number := range numbers {
		b.collect(b.bill(number, 100))
	}
	b.mine(6)
	must(t, b.rail.Poll(t.Context()))
	b.expectCharged(3, 300)
	if b.journal.Payments() != 3 {
		t.Errorf("%d payments are recorded, want 3", b.journal.Payments())
	}
}

// TestNonceIsTakenMeanwhile has another process take the nonce of a charge before it is kept.
func TestNonceIsTakenMeanwhile(t *testing.T) {
	b := newTill(t)
	other, err := filecoinpay.New(b.config, b.journal)
	must(t, err)
	t.Cleanup(other.Close)
	raced := false
	b.journal.Fail = func(method, key string, done bool) error {
		if method == "Remember" && strings.HasPrefix(key, "slot/") && !done && !raced {
			raced = true
			if _, err := other.Collect(t.Context(), b.bill("B", 200)); err == nil || !strings.Contains(err.Error(), "call again") {
				t.Errorf("%v", err)
			}
		}
		return nil
	}
	if _, err := b.rail.Collect(t.Context(), b.bill("A", 100)); err == nil || !strings.Contains(err.Error(), "call again") {
		t.Errorf("%v", err)
	}
	b.mine(1)
	if _, err := b.rail.Collect(t.Context(), b.bill("A", 100)); err == nil || !strings.Contains(err.Error(), "being locked up") || !raced {
		t.Errorf("%v: what is locked up for A was sent before", err)
	}
	b.mine(1)
	b.collect(b.bill("A", 100))
	b.mine(1)
	b.collect(b.bill("B", 200))
	b.mine(1)
	b.expectCharged(2, 300)
}

// TestChargedMeanwhile has another process charge an invoice, and its block be made, after
// this one has seen that nobody does. This one keeps a transaction of its own, which must
// never be sent.
func TestChargedMeanwhile(t *testing.T) {
	b := newTill(t)
	other, err := filecoinpay.New(b.config, b.journal)
	must(t, err)
	t.Cleanup(other.Close)
	for _, number := range []string{"B", "A"} { // what is locked up for B would do for A, too
		if _, err := b.rail.Collect(t.Context(), b.bill(number, 1000)); err == nil || !strings.Contains(err.Error(), "being locked up") {
			t.Fatal(err)
		}
		b.mine(1)
	}
	var first rails.Request
	b.intercept(func(method string, params []json.RawMessage) (any, *nodeError) {
		if method == "eth_getTransactionCount" && string(params[1]) == `"latest"` {
			b.intercept(nil)
			if first, err = other.Collect(t.Context(), b.bill("A", 1000)); err != nil {
				t.Error(err)
			}
			b.mine(1)
		}
		return nil, nil
	})
	request, err := b.rail.Collect(t.Context(), b.bill("A", 1000))
	must(t, err)
	if request.Reference != first.Reference {
		t.Errorf("it is charged by %s, and by %s", request.Reference, first.Reference)
	}
	before := b.nonce(b.operator)
	b.mine(1)
	b.expectCharged(1, 1000)
	b.collect(b.bill("B", 1000))
	b.mine(1)
	b.expectCharged(2, 2000)
	if after := b.nonce(b.operator); after != before+1 {
		t.Errorf("the nonce was %d and is %d: the transaction that must not be sent holds up the others", before, after)
	}
}
