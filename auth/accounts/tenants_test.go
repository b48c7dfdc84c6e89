package accounts

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gocql/gocql"
)

func TestTenants(t *testing.T) {
	both := instances(t, 2)
	here, there := both[0], both[1]
	want := Tenant{ID: "acme", Name: "Acme GmbH & Söhne", MaxPins: 1 << 40, MaxBytes: 1 << 50, RequestsPerSecond: 100}
	made, err := here.CreateTenant(t.Context(), want)
	must(t, err)
	got, err := there.Tenant(t.Context(), "acme")
	must(t, err)
	want.Created, want.Rev = got.Created, got.Rev
	if got != want || got != made || got.Created.IsZero() || got.Rev == "" {
		t.Errorf("made %+v, stored %+v", made, got)
	}
	_, err = there.CreateTenant(t.Context(), Tenant{ID: "acme"})
	mustBe(t, err, ErrExists)
	_, err = there.Tenant(t.Context(), "other")
	mustBe(t, err, ErrNotFound)

	got.Name, got.Disabled, got.MaxPins = "Acme AG", true, 7
	changed, err := there.UpdateTenant(t.Context(), got)
	must(t, err)
	again, err := here.Tenant(t.Context(), "acme")
	must(t, err)
	if again != changed || !again.Disabled || again.MaxPins != 7 || again.Name != "Acme AG" || again.Rev == got.Rev || again.Created != got.Created {
		t.Errorf("it was changed to %+v, is %+v", changed, again)
	}
	_, err = here.UpdateTenant(t.Context(), got) // of the revision before
	mustBe(t, err, ErrChanged)
	_, err = here.UpdateTenant(t.Context(), Tenant{ID: "other", Rev: got.Rev})
	mustBe(t, err, ErrNotFound)
}

func TestTenantIsChecked(t *testing.T) {
	s := &Service{}
	for field, bad := range map[string]Tenant{
		"id": {}, "name": {ID: "a", Name: "\x00"}, "max_pins": {ID: "a", MaxPins: -1}, "max_bytes": {ID: "a", MaxBytes: -1},
		"requests_per_second": {ID: "a", RequestsPerSecond: -1}, "id ": {ID: strings.Repeat("a", 1000)},
	} {
		var e *InvalidError
		if _, err := s.CreateTenant(t.Context(), bad); !errors.As(err, &e) || e.Field != strings.TrimSpace(field) {
			t.Errorf("%s: %v", field, err)
		}
		if _, err := s.UpdateTenant(t.Context(), bad); !errors.As(err, &e) {
			t.Errorf("%s, changed: %v", field, err)
		}
	}
}

// Pages have all tenants, newest first and each once, whatever the size of a page; what a
// writer that died has left is not shown.
func TestListTenants(t *testing.T) {
	s := instances(t, 1)[0]
	if none, err := s.ListTenants(t.Context(), "", 0); err != nil || len(none.All) != 0 || none.Next != "" {
		t.Fatalf("of none: %+v, %v", none, err)
	}
	var want []string
	for _, id := range []string{"g", "a", "f", "b", "e", "c", "d"} {
		want = append([]string{tenant(t, s, id).ID}, want...)
		must(t, s.store.enter(t.Context(), entry{listOfTenants, gocql.TimeUUID(), id}))
		must(t, s.store.enter(t.Context(), entry{listOfTenants, gocql.TimeUUID(), "no " + id}))
	}
	for _, limit := range []int{1, 2, 3, 20, 21, 22, MaxPage} {
		var ids []string
		for _, one := range all(t, limit, func(after string, limit int) (Page[Tenant], error) { return s.ListTenants(t.Context(), after, limit) }) {
			ids = append(ids, one.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("by %d: %q, want %q", limit, ids, want)
		}
	}
	var e *InvalidError
	for _, after := range []string{"x", "00000000-0000-0000-0000-000000000000", strings.Repeat("f", 1<<20)} {
		if _, err := s.ListTenants(t.Context(), after, 0); !errors.As(err, &e) {
			t.Errorf("after %.50q: %v", after, err)
		}
	}
	for _, limit := range []int{-1, MaxPage + 1} {
		if _, err := s.ListTenants(t.Context(), "", limit); !errors.As(err, &e) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

// Of those who make one tenant at a time one does, and of those who change one revision one
// does.
func TestTenantsAtOnce(t *testing.T) {
	both := instances(t, 2)
	count := func(want error, f func(*Service) error) int {
		var mu sync.Mutex
		var all sync.WaitGroup
		done := 0
		for i := range 16 {
			all.Go(func() {
				err := f(both[i%2])
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					done++
				case !errors.Is(err, want):
					t.Error(err)
				}
			})
		}
		all.Wait()
		return done
	}
	if n := count(ErrExists, func(s *Service) error {
		_, err := s.CreateTenant(t.Context(), Tenant{ID: "a"})
		return err
	}); n != 1 {
		t.Errorf("%d have made it", n)
	}
	if p, err := both[0].ListTenants(t.Context(), "", 0); err != nil || len(p.All) != 1 {
		t.Errorf("the list has %+v, %v", p, err)
	}
	first, err := both[0].Tenant(t.Context(), "a")
	must(t, err)
	if n := count(ErrChanged, func(s *Service) error {
		_, err := s.UpdateTenant(t.Context(), first)
		return err
	}); n != 1 {
		t.Errorf("%d have changed it", n)
	}
}

// FuzzAfter feeds what clients may send to go on in a list.
func FuzzAfter(f *testing.F) {
	f.Add(gocql.TimeUUID().String())
	f.Add("{0}")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		last, err := parseAfter(text)
		var e *InvalidError
		if err == nil && (last.String() != text || last.Version() != 1) || err != nil && !errors.As(err, &e) {
			t.Fatalf("%q is %v, %v", text, last, err)
		}
	})
}
