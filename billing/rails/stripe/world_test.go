package stripe

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/stripe/stripe-go/v82"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/railstest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/stripe/stripefake"
)

const (
	testKey = "rk_test_51Secret"
	oldHook = "whsec_oldSecret"
	newHook = "whsec_newSecret"
)

var usd = rails.Currency{Code: "USD", Digits: 2}

// world is a fake of Stripe, a journal, and processes that use both.
type world struct {
	t       *testing.T
	fake    *stripefake.Fake
	url     string
	end     func() // of Stripe, before the end of the test: for tests with many worlds
	dir     string
	journal *railstest.Journal
	stops   *stops

	mu       sync.Mutex
	requests []request
}

// request is one that the fake has seen.
type request struct {
	method, path, query, key string
	form                     url.Values
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, fake: stripefake.New(testKey), dir: t.TempDir(), journal: new(railstest.Journal), stops: new(stops)}
	w.stops.arm(-1)
	w.journal.Fail = w.stops.journal
	w.fake.Fault = w.stops.fault
	w.fake.Seen = func(r *http.Request, form url.Values) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.requests = append(w.requests, request{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Idempotency-Key"), form})
	}
	server := httptest.NewServer(w.fake)
	t.Cleanup(server.Close)
	w.url, w.end = server.URL, server.Close
	return w
}

// seen returns the requests with a method, and a path that begins in a way.
func (w *world) seen(method, path string) []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []request
	for _, r := range w.requests {
		if r.method == method && strings.HasPrefix(r.path, path) {
			out = append(out, r)
		}
	}
	return out
}

// secret writes a file.
func (w *world) secret(text string) string {
	w.t.Helper()
	f, err := os.CreateTemp(w.dir, "secret")
	if err == nil {
		_, err = f.WriteString(text + "\n")
	}
	if err = errors.Join(err, f.Close(), os.Chmod(f.Name(), 0o600)); err != nil {
		w.t.Fatal(err)
	}
	return f.Name()
}

// process returns a collector that knows nothing but what the journal does.
func (w *world) process() *Collector {
	w.t.Helper()
	c, err := New(Options{KeyFile: w.secret(testKey), URL: w.url, Journal: w.journal})
	if err != nil {
		w.t.Fatal(err)
	}
	c.backend.(*sdk.BackendImplementation).SetNetworkRetriesSleep(false)
	return c
}

// invoice is one with three lines, one of them negative.
func (w *world) invoice() rails.Invoice {
	return rails.Invoice{
		Number: "2026-17", Owner: "acme", Currency: usd, Total: big.NewInt(4200), Customer: "cus_acme", Due: time.Now().Add(14 * 24 * time.Hour),
		Lines: []rails.Line{{Description: "storage", Amount: big.NewInt(5000)}, {Description: "discount", Amount: big.NewInt(-1500)}, {Description: "VAT 20 %", Amount: big.NewInt(700)}},
	}
}

func (w *world) collect(c *Collector, invoice rails.Invoice) rails.Request {
	w.t.Helper()
	request, err := c.Collect(w.t.Context(), invoice)
	if err != nil {
		w.t.Fatal(err)
	}
	return request
}

// onlyOne fails unless Stripe has exactly one invoice, final, with the lines that were asked
// for, and nothing else.
func (w *world) onlyOne(invoice rails.Invoice, request rails.Request) error {
	all := w.fake.All("invoice")
	if len(all) != 1 {
		return fmt.Errorf("Stripe has %d invoices: %v", len(all), all)
	}
	in := all[0]
	switch {
	case in["status"] != "open":
		return fmt.Errorf("the invoice is %v", in["status"])
	case in["id"] != request.Reference || in["hosted_invoice_url"] != request.Link:
		return fmt.Errorf("the answer is %+v for %v", request, in)
	case fmt.Sprint(in["total"]) != invoice.Total.String() || request.Asked.Cmp(invoice.Total) != 0 || request.Currency != invoice.Currency:
		return fmt.Errorf("%v is asked, the answer is %+v", in["total"], request)
	}
	items := w.fake.All("invoiceitem")
	if len(items) != len(invoice.Lines) {
		return fmt.Errorf("it has %d items: %v", len(items), items)
	}
	for n, line := range invoice.Lines {
		found := 0
		for _, item := range items {
			if item["metadata"].(map[string]string)["line"] != fmt.Sprint(n) {
				continue
			}
			found++
			if item["invoice"] != in["id"] || fmt.Sprint(item["amount"]) != line.Amount.String() || item["description"] != line.Description {
				return fmt.Errorf("line %d is %v", n, item)
			}
		}
		if found != 1 {
			return fmt.Errorf("line %d is there %d times", n, found)
		}
	}
	return nil
}

// refused fails unless an error is a Refusal that says something.
func refused(t *testing.T, err error, says string) {
	t.Helper()
	var refusal *rails.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want a refusal with %q", err, says)
	}
}

// later fails unless an error says that it may work later.
func later(t *testing.T, err error) {
	t.Helper()
	var refusal *rails.Refusal
	if err == nil || errors.As(err, &refusal) {
		t.Errorf("got %v, want an error that may go away", err)
	}
}

// stops ends a process at one of its steps: before or after a call of the journal or a
// request takes effect. What is dead does nothing more.
type stops struct {
	mu    sync.Mutex
	n, at int
	// what is what happened at the step at which it stopped.
	what string
	// other says what happens to a request of a process that lives.
	other func(method, path string) stripefake.Fault
}

var errStopped = errors.New("the process was stopped")

// arm makes the process stop at a step, from 0. -1 is never.
func (s *stops) arm(at int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n, s.at, s.what = 0, at, ""
}

// dead counts a step and tells whether the process is dead.
func (s *stops) dead(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.n
	s.n++
	if s.at >= 0 && n == s.at {
		s.what = what
	}
	return s.at >= 0 && n >= s.at
}

// stopped returns where it has stopped.
func (s *stops) stopped() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.what, s.what != ""
}

func (s *stops) journal(method, key string, done bool) error {
	if s.dead(fmt.Sprintf("%s %s done=%v", method, key, done)) {
		return errStopped
	}
	return nil
}

func (s *stops) fault(method, path string) stripefake.Fault {
	if s.dead(method + " " + path + " sent") {
		return stripefake.Lost
	}
	if s.dead(method + " " + path + " done") {
		return stripefake.LostAnswer
	}
	if s.other != nil {
		return s.other(method, path)
	}
	return stripefake.None
}

// once makes one fault at the n-th request, from 1, that fits.
func (w *world) once(n int, method, path string, fault stripefake.Fault) {
	var mu sync.Mutex
	w.stops.other = func(m, p string) stripefake.Fault {
		mu.Lock()
		defer mu.Unlock()
		if m == method && strings.HasPrefix(p, path) {
			if n--; n == 0 {
				return fault
			}
		}
		return stripefake.None
	}
}

func background(t *testing.T) context.Context {
	t.Helper()
	return context.WithoutCancel(t.Context())
}
