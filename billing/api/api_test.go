package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/api"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// TestWhoMayAsk: the gateway for an owner that it names, operators for all, and nobody else.
func TestWhoMayAsk(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		authorization, owner, path string
		status                     int
		reason                     string
	}{
		{"Bearer " + gatewayToken, "acme", "/usage", 200, ""},
		{"Bearer " + operatorToken, "acme", "/usage", 200, ""},
		{"Bearer " + operatorToken, "", "/status", 200, ""},
		{"", "", "/openapi.json", 200, ""},
		{"", "acme", "/usage", 401, "UNAUTHORIZED"},
		{"Bearer ", "acme", "/usage", 401, "UNAUTHORIZED"},
		{"Basic " + gatewayToken, "acme", "/usage", 401, "UNAUTHORIZED"},
		{gatewayToken, "acme", "/usage", 401, "UNAUTHORIZED"},
		{"Bearer " + gatewayToken + "x", "acme", "/usage", 401, "UNAUTHORIZED"},
		{"Bearer " + gatewayToken[1:], "acme", "/usage", 401, "UNAUTHORIZED"},
		{"Bearer " + gatewayToken, "acme", "/status", 403, "ACCESS_DENIED"},
		{"Bearer " + gatewayToken, "acme", "/owners", 403, "ACCESS_DENIED"},
		{"Bearer " + gatewayToken, "acme", "/quarantine", 403, "ACCESS_DENIED"},
		{"Bearer " + gatewayToken, "", "/usage", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "%zz", "/usage", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "a%00b", "/usage", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "a%ffb", "/usage", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, strings.Repeat("a", 513), "/usage", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "acme", "/usages", 404, "NOT_FOUND"},
		{"Bearer " + gatewayToken, "acme", "/usage?form=2026-12-01", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "acme", "/usage?from=1&from=2", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "acme", "/usage?from=yesterday", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "acme", "/usage?from=2026-12-02&to=2026-12-01", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "acme", "/usage?granularity=hour", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "acme", "/pins?limit=1001", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "acme", "/pins?limit=0", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "acme", "/pins?format=xml", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "acme", "/pins?%zz", 400, "BAD_REQUEST"},
		{"Bearer " + gatewayToken, "acme", "/events", 404, "NOT_FOUND"},
	} {
		r := httptest.NewRequest(http.MethodGet, tc.path, nil)
		r.Header.Set("Authorization", tc.authorization)
		r.Header.Set("X-Request-Id", "id-1")
		if tc.owner != "" {
			r.Header.Set("Billing-Owner", tc.owner)
		}
		answer := w.do(r)
		var p struct{ Type, Reason, RequestID, Detail string }
		if answer.Code != tc.status || json.Unmarshal(answer.Body.Bytes(), &p) != nil || p.Reason != tc.reason || answer.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%.60q for %.20q, %s: %d %s", tc.authorization, tc.owner, tc.path, answer.Code, answer.Body)
		}
		if tc.reason != "" && (p.Type != "urn:pin-billing:"+tc.reason || p.RequestID != "id-1" || answer.Header().Get("Content-Type") != "application/problem+json") {
			t.Errorf("%s: %s", tc.path, answer.Body)
		}
	}
	if !slices.Contains(w.observed, "usage 401") || !slices.Contains(w.observed, "status 200") {
		t.Errorf("observed were %q", w.observed)
	}
}

// TestNoOperators: without a token of operators nobody is one.
func TestNoOperators(t *testing.T) {
	w := newWorld(t)
	w.config.OperatorToken = ""
	var err error
	w.api, err = api.New(w.config)
	must(t, err)
	r := httptest.NewRequest(http.MethodGet, "/status", nil)
	r.Header["Authorization"] = []string{"Bearer "}
	if answer := w.do(r); answer.Code != http.StatusUnauthorized {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	w.config.Token = ""
	if _, err := api.New(w.config); err == nil {
		t.Error("there is an API without a token")
	}
}

// TestOwners: two owners have one CID in common, and each sees its own and nothing else.
func TestOwners(t *testing.T) {
	w := newWorld(t)
	w.tell(w.claimOf("acme", "r1", "a"), w.claimOf("globex", "r1", "g"), w.claimOf("globex", "r2", "g"))
	for owner, want := range map[string]struct {
		bytes string
		pins  int
		name  string
	}{"acme": {"2000", 1, "a"}, "globex": {"4000", 2, "g"}, "nobody": {"0", 0, ""}, "acme%20": {"0", 0, ""}} {
		days := w.get(owner, "/usage?from="+w.at(-1, 0).Format(time.DateOnly)).Items
		if len(days) != 2 || days[1]["closing_bytes"] != want.bytes || days[1]["closing_pins"] != float64(want.pins) {
			t.Errorf("%s: %v", owner, days)
		}
		pins := w.get(owner, "/pins").Items
		if len(pins) != want.pins || slices.ContainsFunc(pins, func(p map[string]any) bool { return p["name"] != want.name || p["bytes"] != "2000" }) {
			t.Errorf("%s: %v", owner, pins)
		}
	}
	if all := w.get("globex", "/invoices").Items; len(all) != 2 || all[0]["number"] != "2026-000042" || all[1]["number"] != "2026-000040" {
		t.Errorf("the invoices are %v", all)
	}
	for path, want := range map[string]struct {
		status int
		kind   string
		text   string
	}{
		"/invoices/2026-000042": {200, "application/json", `"2026-000042"`}, "/invoices/2026-000042.json": {200, "application/json", `"2026-000042"`},
		"/invoices/2026-000042.html": {200, "text/html; charset=utf-8", "2026-000042"}, "/invoices/2026-000042.csv": {200, "text/csv; charset=utf-8", "2026-000042"},
		"/invoices/2026-000042.pdf": {200, "application/pdf", "%PDF-"},
		"/invoices/2026-000041":     {404, "application/problem+json", "there is no such invoice"}, "/invoices/2026-000041.pdf": {404, "application/problem+json", "there is no such invoice"},
		"/invoices/2026-000043": {404, "application/problem+json", "there is no such invoice"}, "/invoices/2026-000042.txt": {404, "application/problem+json", "there is no such invoice"},
	} {
		answer := w.ask("globex", path)
		if answer.Code != want.status || answer.Header().Get("Content-Type") != want.kind || !strings.Contains(answer.Body.String(), want.text) {
			t.Errorf("%s: %d %s %.200s", path, answer.Code, answer.Header().Get("Content-Type"), answer.Body)
		}
	}
	if all := w.get("", "/owners").Items; len(all) != 2 || all[0]["owner"] != "acme" || all[1]["owner"] != "globex" {
		t.Errorf("the owners are %v", all)
	}
	first := w.get("", "/owners?limit=1")
	if second := w.get("", "/owners?limit=1&cursor="+first.Next); len(second.Items) != 1 || second.Items[0]["owner"] != "globex" || second.Next != "" {
		t.Errorf("the second page of owners is %v", second)
	}
}

// TestUsage: what is asked before the days are closed is what they are closed with, and today is
// counted until now.
func TestUsage(t *testing.T) {
	w := newWorld(t)
	removed := w.claimOf("acme", "r2", "")
	removed.Removed = w.at(-1, 18*time.Hour)
	w.tell(w.claimOf("acme", "r1", "a"), removed)
	const yesterday, today = 2000*12*3_600_000 + 2000*6*3_600_000, 2000 * 3_600_000
	path := "/usage?from=" + w.at(-30, 0).Format(time.DateOnly)
	check := func(closed bool) {
		t.Helper()
		days := w.get("acme", path).Items
		if len(days) != 3 || days[0]["byte_ms"] != "0" || days[1]["byte_ms"] != fmt.Sprint(yesterday) || days[1]["peak_bytes"] != "4000" || days[1]["pin_ms"] != fmt.Sprint(18*3_600_000) ||
			days[2]["byte_ms"] != fmt.Sprint(today) || days[2]["opening_bytes"] != "2000" || days[2]["pin_ms"] != "3600000" || days[2]["closed"] != false {
			t.Errorf("the days are %v", days)
		}
		if days[0]["closed"] != closed || days[1]["closed"] != closed {
			t.Errorf("that days are closed is told as %v", days)
		}
		complete, open, all := 0, 0, w.get("acme", path+"&granularity=month").Items
		for _, m := range all {
			complete += atoi(t, m["byte_ms"])
			open += atoi(t, m["open_byte_ms"])
		}
		if complete+open != yesterday+today || closed != (complete == yesterday) {
			t.Errorf("the months are %v", all)
		}
	}
	check(false)
	must(t, w.closer.Pass(t.Context()))
	check(true)
	// What comes late is seen at once by who asks for the day.
	late := w.claimOf("acme", "r3", "")
	w.tell(late)
	must(t, w.closer.Pass(t.Context()))
	days := w.get("acme", path).Items
	if days[1]["byte_ms"] != fmt.Sprint(yesterday+2000*12*3_600_000) || days[1]["version"] != float64(1) || days[2]["opening_bytes"] != "4000" {
		t.Errorf("after something late the days are %v", days)
	}
	first := w.get("acme", path+"&limit=2")
	// Days before billing began are pages without items.
	seen := len(first.Items)
	for next := first.Next; next != ""; {
		p := w.get("acme", path+"&limit=2&cursor="+next)
		seen, next = seen+len(p.Items), p.Next
	}
	if seen != 3 {
		t.Errorf("pages have %d days", seen)
	}
}

func atoi(t *testing.T, v any) (n int) {
	t.Helper()
	_, err := fmt.Sscan(fmt.Sprint(v), &n)
	must(t, err)
	return n
}

// TestPages: pages have each claim once, and a cursor is good for its list alone.
func TestPages(t *testing.T) {
	w := newWorld(t)
	want := make(map[string]bool)
	var all []events.ClaimData
	for i := range 45 {
		id := fmt.Sprintf("request-%d-…", i)
		want[id] = true
		all = append(all, w.claimOf("acme", id, ""))
	}
	w.tell(all...)
	next, pages := "", 0
	for {
		p := w.get("acme", "/pins?limit=10&cursor="+next)
		pages++
		for _, item := range p.Items {
			id := fmt.Sprint(item["request_id"])
			if !want[id] {
				t.Errorf("%q is there twice, or not one of them", id)
			}
			delete(want, id)
		}
		if next = p.Next; next == "" {
			break
		}
	}
	if len(want) > 0 || pages != 5 {
		t.Errorf("%d pages lack %v", pages, want)
	}
	cursor := w.get("acme", "/pins?limit=10").Next
	for _, path := range []string{"/usage?cursor=" + cursor, "/invoices?cursor=" + cursor, "/pins?cursor=x", "/pins?cursor=" + cursor[1:], "/invoices?cursor=aW52b2ljZXMAMQ", "/usage?cursor=dXNhZ2UtZGF5AC0x"} {
		if answer := w.ask("acme", path); answer.Code != 400 || !strings.Contains(answer.Body.String(), "the cursor is none of this list") {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	if p := w.get("globex", "/pins?limit=10&cursor="+cursor); len(p.Items) != 0 {
		t.Errorf("a cursor of another owner shows %v", p.Items)
	}
}

// TestCSV: it has what JSON has, texts are no formulas, and numbers are numbers.
func TestCSV(t *testing.T) {
	w := newWorld(t)
	unsized := w.claimOf("=owner", "-r1", "=HYPERLINK(\"http://x\")")
	unsized.Size = 0
	w.tell(unsized, w.claimOf("=owner", "r2", "+1;@x,\"y\"\n"))
	answer := w.ask("%3Downer", "/pins?format=csv")
	rows, err := csv.NewReader(answer.Body).ReadAll()
	must(t, err)
	if answer.Header().Get("Content-Type") != "text/csv; charset=utf-8" || len(rows) != 3 || rows[0][0] != "request_id" {
		t.Fatalf("%v %q", answer.Header(), rows)
	}
	slices.SortFunc(rows[1:], func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	if got := rows[1]; got[0] != "'-r1" || got[2] != `'=HYPERLINK("http://x")` || got[7] != "0" || got[8] != "0" || got[9] != "true" {
		t.Errorf("%q", got)
	}
	if got := rows[2]; got[0] != "r2" || strings.HasPrefix(got[2], "+") || strings.Contains(got[2], ";@") || got[6] != "2" || got[8] != "2000" || got[5] != "" {
		t.Errorf("%q", got)
	}
	r := httptest.NewRequest(http.MethodGet, "/usage?limit=1", nil)
	r.Header.Set("Authorization", "Bearer "+gatewayToken)
	r.Header.Set("Billing-Owner", "%3Downer")
	r.Header.Set("Accept", "text/csv")
	if answer := w.do(r); !strings.HasPrefix(answer.Body.String(), "day,closed,") {
		t.Errorf("by Accept: %s", answer.Body)
	}
	var p list
	must(t, json.Unmarshal(w.ask("%3Downer", "/pins").Body.Bytes(), &p))
	if i := slices.IndexFunc(p.Items, func(p map[string]any) bool { return p["request_id"] == "-r1" }); i < 0 || p.Items[i]["unsized"] != true || p.Items[i]["bytes"] != "0" {
		t.Errorf("a pin without a size is %v", p.Items)
	}
}

// TestOperators: what was put aside is seen, and what was done about it; and what has no size.
func TestOperators(t *testing.T) {
	w := newWorld(t)
	bad := w.claimOf("acme", "r1", "")
	bad.Accepted, bad.Pinned = w.at(3, 0), w.at(3, 0)
	unsized := w.claimOf("globex", "r2", "")
	unsized.Size = 0
	w.tell(bad, unsized)
	items := w.get("", "/quarantine?day="+w.at(0, 0).Format(time.DateOnly)).Items
	if len(items) != 1 || items[0]["owner"] != "acme" || !strings.HasPrefix(fmt.Sprint(items[0]["why"]), "future: ") || !strings.Contains(fmt.Sprint(items[0]["payload"]), `"r1"`) {
		t.Fatalf("in the quarantine are %v", items)
	}
	path := fmt.Sprintf("/quarantine/%s/%s", items[0]["day"], items[0]["id"])
	resolve := func(path, token, body string) int {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		return w.do(r).Code
	}
	for _, tc := range []struct {
		path, token, body string
		status            int
	}{
		{path, gatewayToken, `{"note": "x"}`, 403}, {path, operatorToken, `{"note": " "}`, 400}, {path, operatorToken, `{"notes": "x"}`, 400}, {path, operatorToken, `{"note": "x"}{}`, 400},
		{path[:len(path)-1] + "g", operatorToken, `{"note": "x"}`, 404}, {strings.Replace(path, fmt.Sprint(items[0]["day"]), "2020-01-01", 1), operatorToken, `{"note": "x"}`, 404},
		{path, operatorToken, `{"note": "its clock was wrong"}`, 204},
	} {
		if got := resolve(tc.path, tc.token, tc.body); got != tc.status {
			t.Errorf("%s %s: %d", tc.path, tc.body, got)
		}
	}
	if items := w.get("", "/quarantine").Items; len(items) != 1 || items[0]["resolved"] != "its clock was wrong" {
		t.Errorf("after that are %v", items)
	}
	if items := w.get("", "/unsized").Items; len(items) != 1 || items[0]["owner"] != "globex" || items[0]["request_id"] != "r2" {
		t.Errorf("without a size are %v", items)
	}
}

// TestPrices: a month is accrued day by day, and a pin costs what it adds.
func TestPrices(t *testing.T) {
	w := newWorld(t)
	large := w.claimOf("acme", "r1", "")
	large.Size = 1 << 40
	w.tell(large)
	answer := w.ask("acme", "/accrued?month="+w.at(-1, 0).Format("2006-01"))
	var accrued struct {
		Days []struct {
			Day   string
			Total any
		}
	}
	must(t, json.Unmarshal(answer.Body.Bytes(), &accrued))
	if n := len(accrued.Days); answer.Code != 200 || n == 0 || strings.Contains(fmt.Sprint(accrued.Days[n-1].Total), " 0.00") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	if answer := w.ask("acme", "/estimate?bytes=1099511627776&replicas=2&days=30"); answer.Code != 200 || !strings.Contains(answer.Body.String(), `"cost"`) {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	for _, path := range []string{"/estimate", "/estimate?bytes=-1", "/estimate?bytes=1e9", "/estimate?bytes=1&days=0", "/estimate?bytes=1&replicas=x", "/estimate?bytes=1&from=2020-01-01", "/accrued?month=12"} {
		if answer := w.ask("acme", path); answer.Code != 400 {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
}

// TestDatabaseIsGone: a failure is never an empty answer, and tells nothing of what is behind.
func TestDatabaseIsGone(t *testing.T) {
	w := newWorld(t)
	w.db.Close()
	for _, path := range []string{"/usage", "/usage?granularity=month", "/pins", "/accrued", "/estimate?bytes=1"} {
		if answer := w.ask("acme", path); answer.Code != 503 || !strings.Contains(answer.Body.String(), "DEPENDENCY_UNAVAILABLE") || strings.Contains(answer.Body.String(), "session") || answer.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	for _, path := range []string{"/owners", "/quarantine", "/unsized", "/status"} {
		if answer := w.ask("", path); answer.Code != 503 {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
}
