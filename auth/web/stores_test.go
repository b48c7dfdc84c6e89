package web_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// memoryPins are requests, the oldest first.
type memoryPins struct {
	mu    sync.Mutex
	all   []pins.Request
	err   error // of Create, List and Remove
	asked pins.Query
}

func newMemoryPins() *memoryPins { return &memoryPins{} }

// add adds a request as it is, a minute after the one before.
func (m *memoryPins) add(r pins.Request) pins.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.ID = fmt.Sprintf("pin%d", len(m.all)+1)
	if r.Created.IsZero() {
		r.Created = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC).Add(time.Duration(len(m.all)) * 37 * time.Minute)
	}
	m.all = append(m.all, r)
	return r
}

func (m *memoryPins) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *memoryPins) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *memoryPins) Create(_ context.Context, n pins.NewRequest) (pins.Request, error) {
	if err := m.failure(); err != nil {
		return pins.Request{}, err
	}
	return m.add(pins.Request{Tenant: n.Tenant, Owner: n.Owner, CID: n.CID, Name: n.Name, Status: pins.Queued}), nil
}

func (m *memoryPins) Get(_ context.Context, tenant, id string) (pins.Request, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.all {
		if r.Tenant == tenant && r.ID == id {
			return r, nil
		}
	}
	return pins.Request{}, pins.ErrNotFound
}

func (m *memoryPins) List(_ context.Context, tenant string, q pins.Query) (pins.Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = q
	if m.err != nil {
		return pins.Page{}, m.err
	}
	page := pins.Page{Exact: true}
	for _, r := range slices.Backward(m.all) {
		switch {
		case r.Tenant != tenant, len(q.CIDs) > 0 && !slices.Contains(q.CIDs, r.CID), len(q.Statuses) > 0 && !slices.Contains(q.Statuses, r.Status),
			!q.Before.IsZero() && !r.Created.Before(q.Before), !strings.Contains(strings.ToLower(r.Name), strings.ToLower(q.Name)):
			continue
		}
		if page.Count++; page.Count <= q.Limit {
			page.Results = append(page.Results, r)
		}
	}
	return page, nil
}

func (m *memoryPins) Remove(_ context.Context, tenant, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = slices.DeleteFunc(m.all, func(r pins.Request) bool { return r.Tenant == tenant && r.ID == id })
	return m.err
}

func (m *memoryPins) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.all)
}

// memoryKeys are keys, the oldest first.
type memoryKeys struct {
	mu      sync.Mutex
	all     []accounts.ListedKey
	secrets map[string]string // the id by the text
	peppers apikey.Peppers
	perPage int
	err     error
}

func newMemoryKeys() *memoryKeys {
	return &memoryKeys{secrets: make(map[string]string), perPage: 100, peppers: must(apikey.NewPeppers(1, map[int][]byte{1: []byte(strings.Repeat("p", 32))}))}
}

func (m *memoryKeys) keep(k apikey.Key, t apikey.Token) (apikey.Key, apikey.Token, error) {
	m.all = append(m.all, accounts.ListedKey{Key: k})
	m.secrets[t.Text()] = k.ID
	return k, t, m.err
}

func (m *memoryKeys) CreateKey(_ context.Context, grant apikey.Grant) (apikey.Key, apikey.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, token, err := apikey.New("live", grant, m.peppers, time.Now())
	if err != nil {
		return key, token, err
	}
	return m.keep(key, token)
}

func (m *memoryKeys) Key(_ context.Context, tenant, id string) (apikey.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.index(tenant, id); i >= 0 {
		return m.all[i].Key, m.err
	}
	return apikey.Key{}, accounts.ErrNotFound
}

func (m *memoryKeys) index(tenant, id string) int {
	return slices.IndexFunc(m.all, func(k accounts.ListedKey) bool { return k.Tenant == tenant && k.ID == id })
}

func (m *memoryKeys) ListKeys(_ context.Context, tenant, after string, _ int) (accounts.Page[accounts.ListedKey], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page accounts.Page[accounts.ListedKey]
	seen := 0
	for i, k := range slices.Backward(m.all) {
		place := fmt.Sprint(i)
		switch {
		case after != "" && place >= after || k.Tenant != tenant: // of less than ten keys
			continue
		case seen == m.perPage:
			return page, m.err
		}
		page.All, page.Next = append(page.All, k), place
		seen++
	}
	page.Next = ""
	return page, m.err
}

func (m *memoryKeys) RevokeKey(_ context.Context, tenant, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.index(tenant, id); i >= 0 {
		m.all[i].Revoked = time.Now()
	}
	return m.err
}

func (m *memoryKeys) RotateKey(_ context.Context, tenant, id string, overlap time.Duration, by string) (apikey.Key, apikey.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.index(tenant, id)
	next, token, old, err := apikey.Rotate(m.all[i].Key, overlap, m.peppers, time.Now())
	if err != nil {
		return next, token, err
	}
	next.CreatedBy, m.all[i].Key = by, old
	return m.keep(next, token)
}

// Verify implements authn.Keys.
func (m *memoryKeys) Verify(_ context.Context, text string, _ netip.Addr) (principal.Principal, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.all {
		if k.ID == m.secrets[text] && k.Revoked.IsZero() {
			return principal.Principal{ID: k.Owner, Tenant: k.Tenant, Roles: k.Roles, Scopes: k.Scopes, Method: principal.MethodAPIKey, Credential: k.ID}, nil
		}
	}
	return principal.Principal{}, principal.Refuse("API key was revoked", nil)
}

func (m *memoryKeys) list() []accounts.ListedKey {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.all)
}
