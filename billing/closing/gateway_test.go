package closing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// The tenants of a gateway are read page by page, and its claims line by line; a part is an error.
func TestGateway(t *testing.T) {
	at := time.Date(2026, 12, 1, 2, 3, 4, 5_000_000, time.UTC)
	line := func(request string) string {
		b, err := json.Marshal(events.ClaimData{Cid: "cid", Owner: "a b", RequestID: request, Accepted: at, Replicas: -1})
		must(t, err)
		return string(b) + "\n"
	}
	export, asked := line("one")+line("two"), []string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Authorization")+" "+r.URL.RequestURI())
		switch {
		case r.URL.Path == "/admin/tenants" && r.URL.Query().Get("after") == "":
			_, _ = fmt.Fprint(w, `{"items":[{"id":"a b","name":"x"}],"next":"a+b"}`)
		case r.URL.Path == "/admin/tenants":
			_, _ = fmt.Fprint(w, `{"items":[{"id":"c"}]}`)
		case r.URL.Path == "/admin/tenants/a b/claims":
			_, _ = fmt.Fprint(w, export)
		default:
			http.Error(w, "none", http.StatusNotFound)
		}
	}))
	defer server.Close()
	g := &Gateway{URL: server.URL, Token: func() (string, error) { return "t0ken", nil }}
	var owners, requests []string
	must(t, g.Owners(t.Context(), func(owner string) error {
		owners = append(owners, owner)
		return nil
	}))
	read := func() error {
		requests = nil
		return g.Claims(t.Context(), "a b", at, func(d events.ClaimData) error {
			requests = append(requests, d.RequestID)
			return nil
		})
	}
	must(t, read())
	if got := fmt.Sprint(owners, requests, len(asked), asked); got != "[a b c] [one two] 3 [Bearer t0ken /admin/tenants? Bearer t0ken /admin/tenants?after=a%2Bb Bearer t0ken /admin/tenants/a%20b/claims?ended_since=2026-12-01T02%3A03%3A04Z]" {
		t.Error(got)
	}
	for name, text := range map[string]string{
		"cut off": export[:len(export)-1], "cut off in a line": export[:len(export)-20], "no claim": "{}\n", "not JSON": "x\n", "an empty line": "\n" + export,
	} {
		if export = text; read() == nil {
			t.Errorf("%s: %q", name, requests)
		}
	}
	if export = ""; read() != nil || len(requests) != 0 {
		t.Errorf("no claims: %q", requests)
	}
	export = line("one") + line("two")
	stop := errors.New("enough")
	if err := g.Claims(t.Context(), "a b", time.Time{}, func(events.ClaimData) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	if err := g.Claims(t.Context(), "d", at, nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Error(err)
	}
	g.Token = func() (string, error) { return "", stop }
	if err := read(); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// FuzzReadClaims shows that what is read of an export has all that is compared, and that a cut one
// is not whole.
func FuzzReadClaims(f *testing.F) {
	f.Add([]byte(`{"cid":"c","owner":"o","request_id":"r","name":"","at":"x","accepted":"2026-12-01T00:00:00Z","replicas":1}` + "\n"))
	f.Add([]byte("{}\n\n"))
	f.Add(bytes.Repeat([]byte("x"), 70_000))
	f.Fuzz(func(t *testing.T, text []byte) {
		n := 0
		err := readClaims(bytes.NewReader(text), func(d events.ClaimData) error {
			n++
			if d.Cid == "" || d.Owner == "" || d.RequestID == "" || d.Accepted.IsZero() {
				t.Errorf("%+v", d)
			}
			return nil
		})
		if err == nil && (n != bytes.Count(text, []byte("\n")) || len(text) > 0 && text[len(text)-1] != '\n') {
			t.Errorf("%d claims of %q", n, text)
		}
	})
}
