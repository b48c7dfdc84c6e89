package stripe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/stripe/stripefake"
)

// steps are the requests of which a new invoice consists.
var steps = []struct {
	name, method, path string
	nth                int
}{
	{"create", "POST", "/v1/invoices", 1},
	{"first item", "POST", "/v1/invoiceitems", 1},
	{"last item", "POST", "/v1/invoiceitems", 3},
	{"look", "GET", "/v1/invoices/", 1},
	{"compare", "GET", "/v1/invoices/", 2},
	{"finalize", "POST", "/v1/invoices/", 1},
	{"answer", "GET", "/v1/invoices/", 3},
}

// TestFaults makes each request fail in each way once. What is collected again, by another
// process, is one invoice: also what Stripe has kept of a failure under a key.
func TestFaults(t *testing.T) {
	faults := map[string]stripefake.Fault{
		"lost": stripefake.Lost, "answer lost": stripefake.LostAnswer, "429": stripefake.TooMany, "500": stripefake.Broken, "500 after it was done": stripefake.BrokenDone,
		"500 after it was done, answer lost": stripefake.BrokenLost,
	}
	for _, step := range steps {
		for name, fault := range faults {
			for _, forget := range []bool{false, true} {
				what := fmt.Sprintf("%s, %s, keys forgotten %v", step.name, name, forget)
				w := newWorld(t)
				invoice := w.invoice()
				w.once(step.nth, step.method, step.path, fault)
				request, err := w.process().Collect(t.Context(), invoice)
				// What got no answer the SDK repeats itself.
				repeated := fault == stripefake.Lost || fault == stripefake.LostAnswer || fault == stripefake.BrokenLost && step.method == "GET"
				if repeated != (err == nil) && step.name != "finalize" {
					t.Errorf("%s: %v", what, err)
				}
				if err != nil {
					later(t, err)
					if forget {
						w.fake.ForgetKeys()
					}
					if request, err = w.process().Collect(t.Context(), invoice); err != nil {
						t.Errorf("%s: again: %v", what, err)
						continue
					}
				}
				if err := w.onlyOne(invoice, request); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
	}
}

// TestDown shows that nothing is repeated without end.
func TestDown(t *testing.T) {
	for _, fault := range []stripefake.Fault{stripefake.Lost, stripefake.TooMany, stripefake.Broken} {
		w := newWorld(t)
		var requests atomic.Int64
		w.fake.Fault = func(string, string) stripefake.Fault { requests.Add(1); return fault }
		c := w.process()
		for range 3 {
			_, err := c.Collect(t.Context(), w.invoice())
			if err == nil {
				t.Fatal("it was collected")
			}
		}
		// Net/http sends a request with an idempotency key again on a connection that broke.
		if n := requests.Load(); n > 3*(2+2*retries+tries) {
			t.Errorf("%v: %d requests", fault, n)
		}
	}
}

// TestKeysOfSomebodyElse shows what happens where another program has used the keys for
// other requests: the next ones are taken.
func TestKeysOfSomebodyElse(t *testing.T) {
	w := newWorld(t)
	other := newWorld(t)
	other.fake, other.url = w.fake, w.url // with a journal of its own
	invoice := w.invoice()
	invoice.Lines[0].Description = "of another program"
	if _, err := w.process().Collect(t.Context(), invoice); err != nil {
		t.Fatal(err)
	}
	mine := other.invoice()
	mine.Customer = "cus_other"
	c := other.process()
	_, err := c.Collect(t.Context(), mine)
	later(t, err)
	request := other.collect(c, mine)
	if all := w.fake.All("invoice"); len(all) != 2 || all[1]["id"] != request.Reference || fmt.Sprint(all[1]["total"]) != "4200" {
		t.Errorf("Stripe has %v", all)
	}
}

// TestBadAnswers shows that the key is in no error, whatever answers, and that answers which
// make no sense are errors.
func TestBadAnswers(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"401":  func(w http.ResponseWriter, r *http.Request) { echo(w, r, http.StatusUnauthorized) },
		"403":  func(w http.ResponseWriter, r *http.Request) { echo(w, r, http.StatusForbidden) },
		"400":  func(w http.ResponseWriter, r *http.Request) { echo(w, r, http.StatusBadRequest) },
		"500":  func(w http.ResponseWriter, r *http.Request) { echo(w, r, http.StatusInternalServerError) },
		"HTML": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>", r.Header.Get("Authorization")) },
		"502": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("Authorization"), http.StatusBadGateway)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/"+r.Header.Get("Authorization"), http.StatusFound)
		},
		"empty": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") },
		"null":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "null") },
	} {
		w := newWorld(t)
		server := httptest.NewServer(answer)
		w.url = server.URL
		c := w.process()
		_, err := c.Collect(t.Context(), w.invoice())
		if err == nil || strings.Contains(err.Error(), testKey) {
			t.Errorf("%s: %v", name, err)
		}
		if shown := fmt.Sprintf("%v %+v %#v %s %q %d", c, c, c, c, c, c); strings.Contains(shown, "Secret") {
			t.Errorf("printing a collector shows %s", shown)
		}
		server.Close()
	}
}

// echo answers as Stripe does, with the key in the text.
func echo(w http.ResponseWriter, r *http.Request, status int) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"type":"invalid_request_error","message":"what is %s?"}}`, r.Header.Get("Authorization"))
}

// TestWhatIsRefused shows which errors go away by themselves.
func TestWhatIsRefused(t *testing.T) {
	for status, stays := range map[int]bool{400: true, 401: true, 402: true, 403: true, 409: false, 429: false, 500: false, 503: false} {
		w := newWorld(t)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { echo(w, r, status) }))
		w.url = server.URL
		_, err := w.process().Collect(t.Context(), w.invoice())
		if refusal := (*rails.Refusal)(nil); err == nil || errors.As(err, &refusal) != stays {
			t.Errorf("%d: %v", status, err)
		}
		server.Close()
	}
}

// TestEnds shows that a request which hangs ends with who asks.
func TestEnds(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is it noticed that nobody waits
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	w.url = server.URL
	if _, err := w.process().Collect(ctx, w.invoice()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestThisMachineIsNotNamed shows that the SDK does not tell Stripe of this machine.
func TestThisMachineIsNotNamed(t *testing.T) {
	w := newWorld(t)
	checked := false
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		for name, values := range r.Header {
			if strings.HasPrefix(name, "X-Stripe") || strings.Contains(strings.ToLower(fmt.Sprint(values)), "linux") {
				t.Errorf("it is sent %s: %q", name, values)
			}
		}
		checked = true
		w.fake.ServeHTTP(out, r)
	}))
	defer server.Close()
	w.url = server.URL
	w.collect(w.process(), w.invoice())
	if !checked {
		t.Error("nothing was sent")
	}
}
