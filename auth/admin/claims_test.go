package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// fakeClaims has some claims of t1.
type fakeClaims struct {
	all    []events.ClaimData
	tenant string
	since  time.Time
	err    error // after all
}

func (f *fakeClaims) EachClaim(_ context.Context, tenant string, since time.Time, each func(events.ClaimData) error) error {
	f.tenant, f.since = tenant, since
	for _, d := range f.all {
		if err := each(d); err != nil {
			return err
		}
	}
	return f.err
}

func someClaims(n int) (all []events.ClaimData) {
	for i := range n {
		d := events.ClaimData{Cid: fmt.Sprint("cid", i), Owner: "t1", RequestID: fmt.Sprint("r", i), Name: "<a> & b", Accepted: time.UnixMilli(1_700_000_000_000 + int64(i)).UTC(), Replicas: i%4 - 1}
		if i%2 == 1 {
			d.Pinned, d.Size = d.Accepted.Add(time.Second), int64(i)
		}
		if i%4 == 3 {
			d.Removed = d.Accepted.Add(time.Hour)
		}
		all = append(all, *events.ClaimEvent("/", d.Latest(), d).Claim)
	}
	return all
}

// TestClaims: operators, and nobody else, get a line for each claim, as documented.
func TestClaims(t *testing.T) {
	w := newWorld(t)
	w.claims.all = someClaims(9)
	const path = "/admin/tenants/t1/claims"
	answer := w.ask("operator", "GET", path+"?ended_since=2026-11-30T00:00:00%2B01:00", nil).is(http.StatusOK, nil)
	if answer.Header().Get("Content-Type") != "application/x-ndjson" || answer.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v", answer.Header())
	}
	if w.claims.tenant != "t1" || !w.claims.since.Equal(time.Date(2026, 11, 29, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("asked for %s since %s", w.claims.tenant, w.claims.since)
	}
	lines := strings.Split(strings.TrimSuffix(answer.Body.String(), "\n"), "\n")
	if len(lines) != 9 {
		t.Fatalf("%d lines", len(lines))
	}
	schema := strict(t).Components.Schemas["Claim"].Value
	for i, line := range lines {
		var got events.ClaimData
		var any map[string]any
		must(t, json.Unmarshal([]byte(line), &got))
		must(t, json.Unmarshal([]byte(line), &any))
		if err := schema.VisitJSON(any); err != nil || got != w.claims.all[i] || strings.Contains(line, `\u003c`) {
			t.Errorf("%s is %+v, want %+v, %v", line, got, w.claims.all[i], err)
		}
	}
	if w.ask("operator", "GET", path, nil).is(http.StatusOK, nil); !w.claims.since.IsZero() {
		t.Errorf("asked since %s", w.claims.since)
	}
	for who, status := range map[string]int{"sysauditor": 403, "admin": 403, "auditor": 403, "user": 403, "viewer": 403, "sysadmin": 403, "other": 404, "": 401} {
		if answer := w.ask(who, "GET", path, nil); answer.Code != status {
			t.Errorf("%s: %d %s, want %d", answer.what, answer.Code, answer.Body, status)
		}
	}
	w.ask("admin", "GET", path, nil).fails(http.StatusForbidden, authn.Forbidden)
	if last := w.records[len(w.records)-1]; last.Event.Action != "admin:claims-read" || last.Result.Verdict != audit.Denied {
		t.Errorf("on record is %+v", last)
	}
	oscar := w.people["operator"]
	oscar.Scopes = []string{"admin:tenants-read", "admin:quotas-read"}
	w.people["narrow"] = oscar
	w.ask("narrow", "GET", path, nil).fails(http.StatusForbidden, door.InsufficientScope)
	w.ask("operator", "GET", "/admin/tenants/gone/claims", nil).fails(http.StatusNotFound, door.NotFound)
	for _, query := range []string{"?ended_since=", "?ended_since=yesterday", "?ended_since=2026-11-30", "?after=x", "?ended_since=2026-11-30T00:00:00Z&ended_since=2026-11-30T00:00:00Z", "?%"} {
		w.ask("operator", "GET", path+query, nil).fails(http.StatusBadRequest, door.BadRequest)
	}
	w.claims.all = nil
	if answer := w.ask("operator", "GET", path, nil).is(http.StatusOK, nil); answer.Body.Len() != 0 {
		t.Errorf("none are %q", answer.Body)
	}
	w.config.Claims = nil
	w.rebuild()
	w.ask("operator", "GET", path, nil).fails(http.StatusNotFound, door.NotFound)
}

// TestClaimsAreNotAPart: an export that fails is an error, or is cut off if it had begun: a part
// is never taken for the whole.
func TestClaimsAreNotAPart(t *testing.T) {
	w := newWorld(t)
	w.claims.err = errors.New("down")
	w.claims.all = someClaims(3)
	w.ask("operator", "GET", "/admin/tenants/t1/claims", nil).fails(http.StatusServiceUnavailable, door.Unavailable(nil).Reason)
	w.claims.all = someClaims(2000)
	server := httptest.NewServer(w.handler)
	defer server.Close()
	get := func() (int, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/admin/tenants/t1/claims", nil)
		must(t, err)
		r.Header.Set("Authorization", "operator")
		answer, err := server.Client().Do(r)
		must(t, err)
		defer func() { _ = answer.Body.Close() }()
		var body bytes.Buffer
		_, err = body.ReadFrom(answer.Body)
		return bytes.Count(body.Bytes(), []byte("\n")), err
	}
	if n, err := get(); err == nil || n == 0 || n >= 2000 {
		t.Errorf("%d lines, %v: it seems whole", n, err)
	}
	w.claims.err = nil
	if n, err := get(); err != nil || n != 2000 {
		t.Errorf("%d lines, %v", n, err)
	}
	w.accounts.err = errors.New("down")
	if _, err := w.accounts.Tenant(t.Context(), "t1"); err == nil || errors.Is(err, accounts.ErrNotFound) {
		t.Fatal(err)
	}
	if answer := w.ask("operator", "GET", "/admin/tenants/t1/claims", nil); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}
