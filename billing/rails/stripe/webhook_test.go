package stripe

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/stripe/stripefake"
)

// hooks returns the handler of a process that knows the secrets in order.
func (w *world) hooks(secrets ...string) http.Handler {
	w.t.Helper()
	var files []string
	for _, secret := range secrets {
		files = append(files, w.secret(secret))
	}
	h, err := w.process().Webhooks(files...)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// deliver calls a handler with a body that is signed now.
func deliver(h http.Handler, body []byte) int {
	return deliverSigned(h, body, stripefake.Sign(body, newHook, time.Now())).Code
}

func deliverSigned(h http.Handler, body []byte, header string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/stripe", bytes.NewReader(body))
	if header != "" {
		r.Header.Set("Stripe-Signature", header)
	}
	out := httptest.NewRecorder()
	h.ServeHTTP(out, r)
	return out
}

// paid is a world with a paid invoice, and its events.
func paid(t *testing.T) (w *world, reference string, events [][]byte) {
	t.Helper()
	w = newWorld(t)
	reference = w.collect(w.process(), w.invoice()).Reference
	w.fake.Pay(reference, 4200)
	return w, reference, w.fake.Events()
}

// invoicePaid returns the body of the event invoice.paid.
func invoicePaid(t *testing.T, events [][]byte) []byte {
	t.Helper()
	for _, body := range events {
		if bytes.Contains(body, []byte(`"type":"invoice.paid"`)) {
			return body
		}
	}
	t.Fatal("there is no invoice.paid")
	return nil
}

func TestWebhook(t *testing.T) {
	w, reference, events := paid(t)
	h := w.hooks(newHook)
	if code := deliver(h, invoicePaid(t, events)); code != http.StatusOK {
		t.Fatalf("it answers %d", code)
	}
	p, ok := w.journal.Payment(Name, reference)
	if !ok || p.Kind != rails.Paid || p.Invoice != "2026-17" || p.Amount.Int64() != 4200 || p.Currency != usd || !p.Final || p.At.IsZero() || p.Detail != "" {
		t.Errorf("recorded is %+v", p)
	}
}

// TestSignatures shows what passes: what one of the secrets has signed, not long ago.
func TestSignatures(t *testing.T) {
	w, _, events := paid(t)
	body := invoicePaid(t, events)
	tampered := bytes.Replace(body, []byte("evt_"), []byte("evt_9"), 1)
	now := time.Now()
	for name, tt := range map[string]struct {
		body    []byte
		header  string
		secrets []string
		want    int
	}{
		"good":                       {body, stripefake.Sign(body, newHook, now), []string{newHook}, 200},
		"the old of two":             {body, stripefake.Sign(body, oldHook, now), []string{oldHook, newHook}, 200},
		"the new of two":             {body, stripefake.Sign(body, newHook, now), []string{oldHook, newHook}, 200},
		"both signed":                {body, stripefake.Sign(body, oldHook, now) + "," + strings.SplitN(stripefake.Sign(body, newHook, now), ",", 2)[1], []string{newHook}, 200},
		"four minutes old":           {body, stripefake.Sign(body, newHook, now.Add(-4*time.Minute)), []string{newHook}, 200},
		"ten minutes old":            {body, stripefake.Sign(body, newHook, now.Add(-10*time.Minute)), []string{newHook}, 400},
		"ten minutes old, of two":    {body, stripefake.Sign(body, oldHook, now.Add(-10*time.Minute)), []string{oldHook, newHook}, 400},
		"another secret":             {body, stripefake.Sign(body, oldHook, now), []string{newHook}, 400},
		"tampered":                   {tampered, stripefake.Sign(body, newHook, now), []string{newHook}, 400},
		"not signed":                 {body, "", []string{newHook}, 400},
		"a signature of nothing":     {body, fmt.Sprintf("t=%d", now.Unix()), []string{newHook}, 400},
		"no time":                    {body, strings.SplitN(stripefake.Sign(body, newHook, now), ",", 2)[1], []string{newHook}, 400},
		"nonsense":                   {body, "t=,v1=;", []string{newHook}, 400},
		"the time of another":        {body, strings.Replace(stripefake.Sign(body, newHook, now.Add(-10*time.Minute)), fmt.Sprint(now.Add(-10*time.Minute).Unix()), fmt.Sprint(now.Unix()), 1), []string{newHook}, 400},
		"the scheme without secrets": {body, strings.Replace(stripefake.Sign(body, newHook, now), "v1=", "v2=", 1), []string{newHook}, 400},
	} {
		got := deliverSigned(w.hooks(tt.secrets...), tt.body, tt.header)
		if got.Code != tt.want || strings.Contains(got.Body.String(), "Secret") {
			t.Errorf("%s: %d %s, want %d", name, got.Code, got.Body, tt.want)
		}
	}
}

func TestRequestsOfStrangers(t *testing.T) {
	w, reference, events := paid(t)
	h := w.hooks(newHook)
	get := httptest.NewRecorder()
	h.ServeHTTP(get, httptest.NewRequest(http.MethodGet, "/stripe", http.NoBody))
	if get.Code != http.StatusMethodNotAllowed || get.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d", get.Code)
	}
	long := append(invoicePaid(t, events), bytes.Repeat([]byte(" "), MaxBody)...)
	if got := deliverSigned(h, long, stripefake.Sign(long, newHook, time.Now())); got.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a long body: %d", got.Code)
	}
	live := bytes.Replace(invoicePaid(t, events), []byte(`"livemode":false,"object":"event"`), []byte(`"livemode":true,"object":"event"`), 1)
	if !bytes.Contains(live, []byte(`"livemode":true`)) {
		t.Fatal("the event has another form")
	}
	if got := deliverSigned(h, live, stripefake.Sign(live, newHook, time.Now())); got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), "another mode") {
		t.Errorf("another mode: %d %s", got.Code, got.Body)
	}
	for _, body := range []string{"", "null", "{}", "[", `{"id":"evt_1","object":"event","type":"invoice.paid","created":1,"data":{"object":{"id":"in_../x","object":"invoice"}}}`} {
		if code := deliver(h, []byte(body)); code != http.StatusBadRequest {
			t.Errorf("%s: %d", body, code)
		}
	}
	if _, ok := w.journal.Payment(Name, reference); ok || w.journal.Payments() > 0 {
		t.Error("something was recorded")
	}
	for _, secrets := range [][]string{{}, {newHook, oldHook, newHook}, {"sk_test_x"}} {
		var files []string
		for _, secret := range secrets {
			files = append(files, w.secret(secret))
		}
		if _, err := w.process().Webhooks(files...); err == nil {
			t.Errorf("%q were taken", secrets)
		}
	}
}

// TestAcknowledgedAfterwards shows that Stripe is told to send an event again whatever
// fails, and that it is then recorded.
func TestAcknowledgedAfterwards(t *testing.T) {
	for _, method := range []string{"Recall", "Record", "Remember"} {
		for _, done := range []bool{false, true} {
			w, reference, events := paid(t)
			body := invoicePaid(t, events)
			h := w.hooks(newHook)
			fails := true
			w.journal.Fail = func(m, _ string, d bool) error {
				if fails && m == method && d == done {
					return errors.New("the database is down")
				}
				return nil
			}
			got := deliverSigned(h, body, stripefake.Sign(body, newHook, time.Now()))
			if method == "Recall" && done {
				continue // it has no effect to fail after
			}
			if got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" || strings.Contains(got.Body.String(), "database") {
				t.Errorf("%s done=%v: it answers %d %s", method, done, got.Code, got.Body)
			}
			fails = false
			for range 2 {
				if code := deliver(h, body); code != http.StatusOK {
					t.Errorf("%s done=%v: again: %d", method, done, code)
				}
			}
			if p, ok := w.journal.Payment(Name, reference); !ok || p.Amount.Int64() != 4200 || w.journal.Payments() != 1 {
				t.Errorf("%s done=%v: recorded is %+v", method, done, p)
			}
		}
	}
	// Stripe itself does not answer.
	w, reference, events := paid(t)
	w.fake.Fault = func(string, string) stripefake.Fault { return stripefake.Broken }
	if code := deliver(w.hooks(newHook), invoicePaid(t, events)); code != http.StatusServiceUnavailable {
		t.Errorf("Stripe is down: %d", code)
	}
	if _, ok := w.journal.Payment(Name, reference); ok {
		t.Error("it was recorded")
	}
}

// TestReplayed shows that an event which is known costs nothing more.
func TestReplayed(t *testing.T) {
	w, _, events := paid(t)
	body := invoicePaid(t, events)
	deliver(w.hooks(newHook), body)
	before := len(w.seen("GET", "/"))
	for range 3 {
		if code := deliver(w.hooks(newHook), body); code != http.StatusOK {
			t.Errorf("it answers %d", code)
		}
	}
	if after := len(w.seen("GET", "/")); after != before {
		t.Errorf("Stripe was asked %d times more", after-before)
	}
}

// TestOldStates shows that of two processes the one that asked Stripe earlier, and records
// later, does not take back what the other one has recorded.
func TestOldStates(t *testing.T) {
	w := newWorld(t)
	reference := w.collect(w.process(), w.invoice()).Reference
	w.fake.Pay(reference, 1000)
	first := w.fake.Events()
	h, other := w.hooks(newHook), w.hooks(newHook)
	slow := true
	w.journal.Fail = func(method, _ string, done bool) error {
		if method == "Record" && !done && slow {
			slow = false
			w.fake.Pay(reference, 3200)
			for _, body := range w.fake.Events() {
				if code := deliver(other, body); code != http.StatusOK {
					t.Errorf("it answers %d", code)
				}
			}
		}
		return nil
	}
	for _, body := range first {
		if code := deliver(h, body); code != http.StatusOK {
			t.Errorf("it answers %d", code)
		}
	}
	if p, _ := w.journal.Payment(Name, reference); p.Amount.Int64() != 4200 || !p.Final {
		t.Errorf("recorded is %+v", p)
	}
}

// TestAnyOrder delivers the events of a life of an invoice in any order, some of them twice,
// some while it goes on: in the end the same is recorded.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // repeatable
		w := newWorld(t)
		reference := w.collect(w.process(), w.invoice()).Reference
		h := w.hooks(newHook)
		var waiting [][]byte
		more := func() {
			for _, body := range w.fake.Events() {
				waiting = append(waiting, body)
				if random.IntN(3) == 0 {
					waiting = append(waiting, body)
				}
			}
			random.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
			for n := random.IntN(len(waiting) + 1); n > 0; n-- {
				if code := deliver(h, waiting[0]); code != http.StatusOK {
					t.Fatalf("seed %d: it answers %d to %s", seed, code, waiting[0])
				}
				waiting = waiting[1:]
			}
		}
		one := w.fake.Pay(reference, 1000)
		more()
		w.fake.Pay(reference, 3200)
		more()
		refund := w.fake.Refund(one, 300, "pending")
		more()
		w.fake.SetStatus(refund, "succeeded")
		dispute := w.fake.Dispute(one, 700)
		more()
		w.fake.SetStatus(refund, "failed")
		w.fake.SetStatus(dispute, "won")
		if _, err := w.process().Credit(t.Context(), credit("C-1", 50)); err != nil {
			t.Fatal(err)
		}
		more()
		for _, body := range waiting {
			if code := deliver(h, body); code != http.StatusOK {
				t.Fatalf("seed %d: it answers %d", seed, code)
			}
		}
		credited := fmt.Sprint(w.fake.All("refund")[1]["id"])
		for id, want := range map[string]rails.Payment{
			reference: {Kind: rails.Paid, Version: 4200<<1 | 1, Final: true},
			refund:    {Kind: rails.Reversed, Version: 3, Final: true},
			dispute:   {Kind: rails.Reversed, Version: 3, Final: true},
			credited:  {Kind: rails.Refunded, Version: 2, Final: true, Credit: "C-1"},
		} {
			p, _ := w.journal.Payment(Name, id)
			if p.Kind != want.Kind || p.Version != want.Version || p.Final != want.Final || p.Credit != want.Credit || p.Invoice != "2026-17" {
				t.Fatalf("seed %d: recorded of %s is %+v", seed, id, p)
			}
		}
		if n := w.journal.Payments(); n != 4 {
			t.Fatalf("seed %d: %d payments are recorded", seed, n)
		}
	}
}
