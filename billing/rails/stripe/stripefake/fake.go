// Package stripefake has a Fake of the part of Stripe that billing/rails/stripe uses, for
// tests: with state, idempotency keys, events and faults.
//
// It is a fake. It does what Stripe's documentation says, as far as it was understood, and
// nothing in it was compared with Stripe: that a test passes on it shows that the collector
// is right about the fake. The shapes of requests are checked by Stripe's own stripe-mock.
package stripefake

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Fault is what happens to a request.
type Fault int

const (
	// None means that it is answered.
	None Fault = iota
	// Lost means that it never arrives, and the connection breaks.
	Lost
	// LostAnswer means that it is done, and the connection breaks before the answer.
	LostAnswer
	// TooMany means that it is refused with 429, and not done.
	TooMany
	// Broken means that it fails with 500 and is not done. The answer is kept under the
	// idempotency key.
	Broken
	// BrokenDone means that it is done and fails with 500, which is kept as well.
	BrokenDone
	// BrokenLost is BrokenDone, and the connection breaks before the answer.
	BrokenLost
)

// Object is one of Stripe's, as it is in JSON.
type Object map[string]any

// Fake is an http.Handler that answers as Stripe's API. Safe for concurrent use.
type Fake struct {
	// Fault, if it is set, says what happens to each request.
	Fault func(method, path string) Fault
	// Seen, if it is set, is told of each request that arrives.
	Seen func(r *http.Request, form url.Values)

	mu       sync.Mutex
	key      string
	now      int64
	serial   int
	objects  map[string]Object // by id
	order    []string
	kept     map[string]kept // by idempotency key
	balances map[string]int64
	taxed    map[string]bool
	events   []Object
}

// kept is what is kept under an idempotency key.
type kept struct {
	request string
	answer  answer
}

type answer struct {
	status int
	body   any
}

// New returns a Fake that takes one API key.
func New(key string) *Fake {
	return &Fake{
		key: key, now: time.Now().Unix(),
		objects: make(map[string]Object), kept: make(map[string]kept), balances: make(map[string]int64), taxed: make(map[string]bool),
	}
}

// ForgetKeys forgets all idempotency keys, as Stripe does after a day.
func (f *Fake) ForgetKeys() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.kept)
}

// SetBalance sets what a customer owes (more than zero), or has good.
func (f *Fake) SetBalance(customer string, units int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.balances[customer] = units
}

// SetTaxed makes a tax of a tenth come on all invoices of a customer.
func (f *Fake) SetTaxed(customer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taxed[customer] = true
}

// All returns copies of all objects of a kind, as "invoice", in the order in which they were
// made.
func (f *Fake) All(kind string) []Object {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Object
	for _, o := range f.all(kind) {
		out = append(out, f.view(o))
	}
	return out
}

func (f *Fake) all(kind string) []Object {
	var out []Object
	for _, id := range f.order {
		if o, ok := f.objects[id]; ok && o["object"] == kind {
			out = append(out, o)
		}
	}
	return out
}

// add gives an object an id and keeps it.
func (f *Fake) add(kind, prefix string, o Object) Object {
	f.serial++
	f.now++
	id := fmt.Sprintf("%s_%06d", prefix, f.serial)
	o["id"], o["object"], o["livemode"] = id, kind, false
	if _, ok := o["created"]; !ok {
		o["created"] = f.now
	}
	f.objects[id] = o
	f.order = append(f.order, id)
	return o
}

func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || r.Method == http.MethodGet && len(body) > 0 {
		respond(w, refused(http.StatusBadRequest, "invalid_request_error", "", "the body is unreadable"))
		return
	}
	fault := None
	if f.Fault != nil {
		fault = f.Fault(r.Method, r.URL.Path)
	}
	if fault == Lost {
		hangUp(w)
		return
	}
	if f.Seen != nil {
		f.Seen(r, form)
	}
	a, replayed := f.serve(r, form, fault)
	if fault == LostAnswer || fault == BrokenLost {
		hangUp(w)
		return
	}
	if replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	respond(w, a)
}

func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close() // it is to break
	}
}

func respond(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", "req_fake")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // the test sees what is missing
}

func (f *Fake) serve(r *http.Request, form url.Values, fault Fault) (a answer, replayed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+f.key {
		return refused(http.StatusUnauthorized, "invalid_request_error", "", "Invalid API Key provided: "+r.Header.Get("Authorization")), false
	}
	if fault == TooMany {
		return refused(http.StatusTooManyRequests, "invalid_request_error", "rate_limit", "Too many requests"), false
	}
	key, request := r.Header.Get("Idempotency-Key"), r.Method+" "+r.URL.Path+" "+form.Encode()
	if r.Method != http.MethodPost {
		key = ""
	}
	if was, ok := f.kept[key]; ok {
		if was.request != request {
			return refused(http.StatusBadRequest, "idempotency_error", "", "Keys for idempotent requests can only be used with the same parameters they were first used with."), false
		}
		return was.answer, true
	}
	if fault == Broken {
		a = refused(http.StatusInternalServerError, "api_error", "", "Something went wrong")
	} else {
		a = f.route(r, form)
	}
	if fault == BrokenDone || fault == BrokenLost {
		a = refused(http.StatusInternalServerError, "api_error", "", "Something went wrong")
	}
	// What fails its checks is not kept.
	if key != "" && (a.status < 400 || a.status >= 500) {
		f.kept[key] = kept{request, frozen(a)}
	}
	return a, false
}

// frozen is an answer that does not change with what it is about.
func frozen(a answer) answer {
	if text, err := json.Marshal(a.body); err == nil {
		a.body = json.RawMessage(text)
	}
	return a
}

func refused(status int, kind, code, message string) answer {
	return answer{status, Object{"error": Object{"type": kind, "code": code, "message": message}}}
}

func invalid(message string) answer {
	return refused(http.StatusBadRequest, "invalid_request_error", "", message)
}

func missing(id string) answer {
	return refused(http.StatusNotFound, "invalid_request_error", "resource_missing", "No such object: "+id)
}

func found(o any) answer { return answer{http.StatusOK, o} }

func (f *Fake) route(r *http.Request, form url.Values) answer {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	id, action := "", ""
	if len(parts) > 1 {
		id = parts[1]
	}
	if len(parts) > 2 {
		action = parts[2]
	}
	query := r.URL.Query()
	switch r.Method + " " + parts[0] {
	case "POST invoices":
		if id == "" {
			return f.createInvoice(form)
		}
		return f.actOnInvoice(id, action)
	case "DELETE invoices":
		return f.deleteInvoice(id)
	case "POST invoiceitems":
		return f.createItem(form)
	case "DELETE invoiceitems":
		return f.deleteItem(id)
	case "POST credit_notes":
		return f.createNote(form)
	case "GET invoices":
		if id == "" {
			return f.list("invoice", query, map[string]string{"customer": "customer"})
		}
	case "GET invoiceitems":
		return f.list("invoiceitem", query, map[string]string{"invoice": "invoice"})
	case "GET credit_notes":
		return f.list("credit_note", query, map[string]string{"invoice": "invoice"})
	case "GET invoice_payments":
		return f.listPayments(query)
	}
	if o, ok := f.objects[id]; ok && r.Method == http.MethodGet && action == "" {
		return found(f.view(o))
	}
	return missing(r.URL.Path)
}

// list returns a page of the objects whose fields are as asked, the newest first.
func (f *Fake) list(kind string, query url.Values, fields map[string]string) answer {
	var matching []Object
	for _, o := range f.all(kind) {
		ok := fmt.Sprint(o["created"]) >= query.Get("created[gte]")
		for param, field := range fields {
			ok = ok && (query.Get(param) == "" || o[field] == query.Get(param))
		}
		if ok {
			matching = append([]Object{f.view(o)}, matching...)
		}
	}
	return page(matching, query)
}

func page(all []Object, query url.Values) answer {
	limit := 10
	if text := query.Get("limit"); text != "" {
		if _, err := fmt.Sscan(text, &limit); err != nil || limit < 1 || limit > 100 {
			return invalid("limit is not between 1 and 100")
		}
	}
	if after := query.Get("starting_after"); after != "" {
		for len(all) > 0 {
			id := all[0]["id"]
			all = all[1:]
			if id == after {
				break
			}
		}
	}
	more := len(all) > limit
	if more {
		all = all[:limit]
	}
	if all == nil {
		all = []Object{}
	}
	return found(Object{"object": "list", "url": "/v1/fake", "has_more": more, "data": all})
}

// Now is the time of the last object that was made.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Unix(f.now, 0)
}
