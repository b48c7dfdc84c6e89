package stripe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	sdk "github.com/stripe/stripe-go/v82"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/stripe/stripefake"
)

// startMock builds Stripe's stripe-mock, starts it, and returns a client of it. It has no
// state: it says whether a request has the form that Stripe's OpenAPI document asks for.
func startMock(t *testing.T) *http.Client {
	t.Helper()
	dir := t.TempDir()
	program, socket := filepath.Join(dir, "stripe-mock"), filepath.Join(dir, "socket")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/stripe/stripe-mock") //nolint:gosec // a fixed command
	build.Dir = "../../../tools/stripemock"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building stripe-mock: %v\n%s", err, out)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	mock := exec.CommandContext(ctx, program, "-http-unix", socket) //nolint:gosec // it was just built
	out, err := mock.StdoutPipe()
	if err == nil {
		err = mock.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Listening") {
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, out) // what it is asked
	}()
	t.Cleanup(func() {
		stop()
		<-read
		_ = mock.Wait() // it was killed
	})
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
}

// askMock sends a request to stripe-mock and returns the status and the answer.
func askMock(t *testing.T, client *http.Client, r request) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, "http://stripe-mock"+r.path+"?"+r.query, strings.NewReader(r.form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_test_123")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Stripe-Version", sdk.APIVersion)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// everything makes each request that the collector can make, to the fake.
func everything(t *testing.T) []request {
	t.Helper()
	w := newWorld(t)
	invoice := w.invoice()
	// The answers are lost, so that what was made is looked for.
	for _, at := range []int{7, 20} {
		w.stops.arm(at)
		if _, err := w.process().Collect(t.Context(), invoice); err == nil {
			t.Fatal("it was not stopped")
		}
	}
	w.stops.arm(-1)
	w.fake.Double()
	w.collect(w.process(), invoice)
	c := w.process()
	if err := c.GiveUp(t.Context(), invoice.Number); err != nil {
		t.Fatal(err)
	}
	if err := c.Cancel(t.Context(), invoice.Number); err != nil {
		t.Fatal(err)
	}
	invoice.Rev = 1
	w.fake.SetTaxed("cus_acme")
	_, err := c.Collect(t.Context(), invoice)
	refused(t, err, "came to 4620") // and is deleted
	invoice.Number, invoice.Rev, invoice.Customer = "2026-18", 0, "cus_other"
	reference := w.collect(w.process(), invoice).Reference
	intent := w.fake.Pay(reference, 4200)
	w.once(1, "POST", "/v1/credit_notes", stripefake.Broken)
	note := credit("C-1", 10)
	note.Invoice = invoice.Number
	_, err = c.Credit(t.Context(), note)
	later(t, err)
	w.fake.ForgetKeys()
	if _, err := c.Credit(t.Context(), note); err != nil {
		t.Fatal(err)
	}
	w.fake.Dispute(intent, 1)
	for _, body := range w.fake.Events() {
		if code := deliver(w.hooks(newHook), body); code != http.StatusOK {
			t.Fatal(code)
		}
	}
	return append(w.seen("POST", "/"), append(w.seen("GET", "/"), w.seen("DELETE", "/")...)...)
}

// TestShapes shows that Stripe's own mock takes every request: the parameters exist and are
// of the right types. It proves nothing of what Stripe does.
func TestShapes(t *testing.T) {
	requests := everything(t)
	client := startMock(t)
	kinds := make(map[string]int)
	id := regexp.MustCompile(`/[a-z]+_[0-9a-z]+`)
	for _, r := range requests {
		kinds[r.method+" "+id.ReplaceAllStringFunc(r.path, func(s string) string {
			if strings.ContainsAny(s, "0123456789") {
				return "/{id}"
			}
			return s
		})]++
		if status, body := askMock(t, client, r); status != http.StatusOK {
			t.Errorf("%+v: %d %s", r, status, body)
		}
	}
	want := []string{
		"DELETE /v1/invoiceitems/{id}", "DELETE /v1/invoices/{id}", "GET /v1/credit_notes", "GET /v1/disputes/{id}", "GET /v1/invoice_payments", "GET /v1/invoiceitems",
		"GET /v1/invoices", "GET /v1/invoices/{id}", "GET /v1/refunds/{id}", "POST /v1/credit_notes", "POST /v1/invoiceitems", "POST /v1/invoices",
		"POST /v1/invoices/{id}/finalize", "POST /v1/invoices/{id}/mark_uncollectible", "POST /v1/invoices/{id}/void",
	}
	if got := slices.Sorted(maps.Keys(kinds)); !slices.Equal(got, want) {
		t.Errorf("asked was %q, want %q", got, want)
	}
	// The mock refuses what is wrong.
	for change, value := range map[string]string{"invoce": "in_1", "amount": "much", "discountable": "maybe"} {
		i := slices.IndexFunc(requests, func(r request) bool { return r.path == "/v1/invoiceitems" && r.method == http.MethodPost })
		r := requests[i]
		r.form = maps.Clone(r.form)
		r.form.Set(change, value)
		if status, _ := askMock(t, client, r); status != http.StatusBadRequest {
			t.Errorf("%s=%s gives %d", change, value, status)
		}
	}
	t.Log(fmt.Sprint(len(requests)), "requests")
}
