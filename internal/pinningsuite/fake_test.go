package pinningsuite

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeToken is the only token of a fake.
const fakeToken = "good"

// fake is a compliant server of the Pinning Services API that pins nothing: a request is
// pinned at once.
type fake struct {
	// noToken is the status for requests without a token, 401 in what is compliant.
	noToken int

	mu   sync.Mutex
	pins []*fakePin // the newest first
	made int
}

type fakePin struct {
	RequestID string          `json:"requestid"`
	Status    string          `json:"status"`
	Created   time.Time       `json:"created"`
	Pin       json.RawMessage `json:"pin"`
	Delegates []string        `json:"delegates"`
	cid, name string
}

// startFake starts a fake that answers requests without a token with a status.
func startFake(t *testing.T, noToken int) *httptest.Server {
	t.Helper()
	f := &fake{noToken: noToken}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pins", f.list)
	mux.HandleFunc("POST /pins", f.create)
	mux.HandleFunc("GET /pins/{id}", f.one)
	mux.HandleFunc("POST /pins/{id}", f.one)
	mux.HandleFunc("DELETE /pins/{id}", f.one)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		f.mu.Lock()
		defer f.mu.Unlock()
		switch strings.TrimSpace(token) {
		case fakeToken:
			mux.ServeHTTP(w, r)
		case "", "undefined":
			refuse(w, f.noToken, "UNAUTHORIZED")
		default:
			refuse(w, http.StatusUnauthorized, "INVALID_TOKEN")
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func (f *fake) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil {
		limit = 10
	}
	found := []*fakePin{}
	for _, pin := range f.pins {
		if pin.matches(query) {
			found = append(found, pin)
		}
	}
	answer(w, http.StatusOK, map[string]any{"count": len(found), "results": found[:min(limit, len(found))]})
}

func (p *fakePin) matches(query url.Values) bool {
	if list := query.Get("status"); list != "" && !slices.Contains(strings.Split(list, ","), p.Status) {
		return false
	}
	if list := query.Get("cid"); list != "" && !slices.Contains(strings.Split(list, ","), p.cid) {
		return false
	}
	if before, err := time.Parse(time.RFC3339, query.Get("before")); err == nil && !p.Created.Before(before) {
		return false
	}
	name, want := p.name, query.Get("name")
	if strings.HasPrefix(query.Get("match"), "i") {
		name, want = strings.ToLower(name), strings.ToLower(want)
	}
	if strings.HasSuffix(query.Get("match"), "partial") {
		return strings.Contains(name, want)
	}
	return want == "" || name == want
}

func (f *fake) create(w http.ResponseWriter, r *http.Request) {
	var raw json.RawMessage
	var pin struct{ CID, Name string }
	if json.NewDecoder(r.Body).Decode(&raw) != nil || json.Unmarshal(raw, &pin) != nil || pin.CID == "" {
		refuse(w, http.StatusBadRequest, "BAD_REQUEST")
		return
	}
	f.made++
	// No two are of one time: pages go by it.
	made := &fakePin{
		RequestID: fmt.Sprintf("request-%d", f.made), Status: "pinned", Created: time.Unix(1_700_000_000+int64(f.made), 0).UTC(),
		Pin: raw, Delegates: []string{"/dns4/ipfs.example/tcp/4001/p2p/12D3KooWGjTy3hVMqrTt1LSh7XZhJ3iVYNQNTPXt4PNZo7q8sFhK"},
		cid: pin.CID, name: pin.Name,
	}
	f.pins = slices.Insert(f.pins, 0, made)
	answer(w, http.StatusAccepted, made)
}

// one serves one request by its id.
func (f *fake) one(w http.ResponseWriter, r *http.Request) {
	i := slices.IndexFunc(f.pins, func(pin *fakePin) bool { return pin.RequestID == r.PathValue("id") })
	if i < 0 {
		refuse(w, http.StatusNotFound, "NOT_FOUND")
		return
	}
	if r.Method == http.MethodGet {
		answer(w, http.StatusOK, f.pins[i])
		return
	}
	f.pins = slices.Delete(f.pins, i, i+1)
	if r.Method == http.MethodDelete {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	f.create(w, r)
}

func refuse(w http.ResponseWriter, status int, reason string) {
	answer(w, status, map[string]any{"error": map[string]string{"reason": reason}})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone if it fails
}
