package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/api"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/closing"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ingest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/service"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
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

const (
	gatewayToken  = "gateway-token-gateway-token-gateway"
	operatorToken = "operator-token-operator-token-operator"
)

// documents are invoices by their numbers.
type documents map[string]invoice.Copy

func (d documents) Documents(_ context.Context, owner string) (all []invoice.Copy, _ error) {
	for _, number := range []string{"2026-000042", "2026-000041", "2026-000040"} {
		if c, ok := d[number]; ok && c.Document.Owner == owner {
			all = append(all, c)
		}
	}
	return all, nil
}

func (d documents) Document(_ context.Context, number string) (invoice.Copy, bool, error) {
	c, ok := d[number]
	return c, ok, nil
}

// world is an API over a ledger on a real engine. Its clock stands at one o'clock in the morning of
// today, and it has billed since two days before.
type world struct {
	*testing.T
	db       *scylla.DB
	store    *ledger.Store
	ingest   *ingest.Ingest
	policy   claim.Policy
	today    int64
	since    time.Time
	closer   *closing.Closer
	config   api.Config
	api      *api.API
	observed []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server := cqltest.Start(t)
	conf := keyspace.Default()
	conf.Hosts, conf.Port, conf.Keyspace = server.Hosts(), server.Port(), server.Emptied(t)
	db, err := keyspace.Open(t.Context(), conf, nil)
	must(t, err)
	t.Cleanup(db.Close)
	w := &world{T: t, db: db, store: ledger.New(t.Context(), db), today: usage.DayOf(time.Now().UnixMilli())}
	w.since = w.at(-2, 0)
	w.policy = claim.Policy{Start: claim.StartAccepted, Replicas: claim.ReplicasRequested, DefaultReplicas: 2, AllReplicas: 3, Since: w.since}
	w.ingest, err = ingest.New(ingest.Options{Store: w.store, Policy: w.policy})
	must(t, err)
	now := func() time.Time { return w.at(0, time.Hour) }
	w.closer, err = closing.New(closing.Options{Store: w.store, Leases: db, First: w.since, Grace: 30 * time.Minute, Now: now})
	must(t, err)
	text, err := os.ReadFile("../plan/example/standard-1.yaml")
	must(t, err)
	book, err := plan.NewBook([]plan.File{{Name: "standard-1.yaml", Text: []byte(strings.Replace(string(text), "2026-12-01", "2020-01-01", 1))}}, nil)
	must(t, err)
	prices, err := service.NewPrices(book, "standard")
	must(t, err)
	w.config = api.Config{
		Token: gatewayToken, OperatorToken: operatorToken, Ledger: w.store, Policy: w.policy, Usage: service.NewUsage(w.store, w.since, now), Prices: prices,
		Invoices: issued(t), Now: now, Observe: func(route string, status int, _ time.Duration) {
			w.observed = append(w.observed, fmt.Sprint(route, " ", status))
		},
		Status: func(ctx context.Context) (api.Status, error) {
			last, err := w.closer.Last(ctx)
			return api.Status{ClosedUntil: time.UnixMilli((last + 1) * usage.DayMS).UTC()}, err
		},
	}
	w.api, err = api.New(w.config)
	must(t, err)
	return w
}

// issued are two invoices of globex and one of acme.
func issued(t *testing.T) documents {
	t.Helper()
	text, err := os.ReadFile("../invoice/testdata/usd.json")
	must(t, err)
	var c struct{ Document json.RawMessage }
	must(t, json.Unmarshal(text, &c))
	doc, err := invoice.Parse(c.Document)
	must(t, err)
	all := make(documents)
	for number, owner := range map[string]string{"2026-000040": "globex", "2026-000041": "acme", "2026-000042": "globex"} {
		d := doc
		d.Owner, d.Number = owner, number
		all[number] = invoice.Copy{Document: d}
	}
	return all
}

// at is a time of a day, so many after today.
func (w *world) at(days int64, after time.Duration) time.Time {
	return time.UnixMilli((w.today + days) * usage.DayMS).UTC().Add(after)
}

// tell counts all that is known of claims.
func (w *world) tell(all ...events.ClaimData) {
	w.Helper()
	var batch []claims.Delivery
	for _, d := range all {
		e := events.ClaimEvent("gateway", d.Latest(), d)
		data, err := e.Encode()
		must(w, err)
		batch = append(batch, claims.Delivery{Event: e, Data: data, Delivered: 1, Stored: time.Now()})
	}
	for len(batch) > 0 {
		n := min(len(batch), claims.MaxBatch)
		must(w, w.ingest.Claims(w.Context(), batch[:n]))
		batch = batch[n:]
	}
}

// claimOf is one of an owner with a size, since yesterday noon.
func (w *world) claimOf(owner, request, name string) events.ClaimData {
	return events.ClaimData{
		Cid: "bafkqaaa", Owner: owner, RequestID: request, Name: name, Accepted: w.at(-1, 12*time.Hour), Pinned: w.at(-1, 12*time.Hour+time.Minute), Replicas: 2, Size: 1000,
	}
}

// ask makes a request for an owner, as the gateway, or as an operator for none.
func (w *world) ask(owner, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+operatorToken)
	if owner != "" {
		r.Header.Set("Authorization", "Bearer "+gatewayToken)
		r.Header.Set("Billing-Owner", owner)
	}
	return w.do(r)
}

func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	w.api.ServeHTTP(answer, r)
	return answer
}

// list is a page of anything.
type list struct {
	Items []map[string]any `json:"items"`
	Next  string           `json:"next"`
}

// get wants a page.
func (w *world) get(owner, path string) list {
	w.Helper()
	answer := w.ask(owner, path)
	if answer.Code != http.StatusOK {
		w.Fatalf("%s: %d %s", path, answer.Code, answer.Body)
	}
	var l list
	must(w, json.Unmarshal(answer.Body.Bytes(), &l))
	return l
}
