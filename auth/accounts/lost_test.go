package accounts

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Every write may be sent again, and is when its answer was lost: it is done once, and who
// did it knows.
func TestLostAnswers(t *testing.T) {
	for _, lost := range []int{1, settleTries - 1} {
		s := instances(t, 1)[0]
		lose := func() { losing(s.store, lost) }
		lose()
		made := tenant(t, s, "t1")
		lose()
		changed, err := s.UpdateTenant(t.Context(), made)
		must(t, err)
		if now, err := s.Tenant(t.Context(), "t1"); err != nil || now != changed {
			t.Errorf("the tenant is %+v, %v, was changed to %+v", now, err, changed)
		}
		lose()
		k, token := key(t, s, "t1", "alice")
		must(t, verify(t, s, token))
		lose()
		next, token, err := s.RotateKey(t.Context(), "t1", k.ID, time.Hour, "alice")
		must(t, err)
		must(t, verify(t, s, token))
		lose()
		must(t, s.RevokeKey(t.Context(), "t1", next.ID))
		mustBeRefused(t, verify(t, s, token), "revoked")
		lose()
		_, err = s.AddCredential(t.Context(), credential("t1", "alice", aliceDID))
		must(t, err)
		lose()
		_, err = s.AddCredential(t.Context(), credential("t1", "alice", aliceDID))
		must(t, err)
		lose()
		must(t, s.RemoveCredential(t.Context(), "t1", aliceDID))
		lose()
		must(t, s.store.DIDNonces().Put(t.Context(), "n", "client", time.Now().Add(time.Minute)))
		for _, want := range []bool{true, false} {
			lose()
			if _, ok, err := s.store.DIDNonces().Take(t.Context(), "n"); ok != want || err != nil {
				t.Errorf("taken %t, %v, want %t", ok, err, want)
			}
			lose()
			if ok, err := s.store.First(t.Context(), "key", time.Now().Add(time.Minute)); ok != want || err != nil {
				t.Errorf("first %t, %v, want %t", ok, err, want)
			}
		}
		tenants, err := s.ListTenants(t.Context(), "", 0)
		must(t, err)
		keys, err := s.ListKeys(t.Context(), "t1", "", 0)
		must(t, err)
		credentials, err := s.ListCredentials(t.Context(), "t1", "alice", "", 0)
		must(t, err)
		if len(tenants.All) != 1 || len(keys.All) != 2 || len(credentials.All) != 0 {
			t.Errorf("lists have %d tenants, %d keys, %d credentials", len(tenants.All), len(keys.All), len(credentials.All))
		}
	}
}

// When the outcome stays unknown, it is an error, and nobody has what was to be had: of a
// nonce as of a key.
func TestOutcomeUnknown(t *testing.T) {
	s := instances(t, 1)[0]
	tenant(t, s, "t1")
	k, token := key(t, s, "t1", "alice")
	must(t, s.store.DIDNonces().Put(t.Context(), "n", "client", time.Now().Add(time.Minute)))
	losing(s.store, settleTries)
	if _, ok, err := s.store.DIDNonces().Take(t.Context(), "n"); ok || !errors.Is(err, errLost) {
		t.Errorf("taken %t, %v", ok, err)
	}
	if _, ok, err := s.store.DIDNonces().Take(t.Context(), "n"); ok || err != nil {
		t.Errorf("taken again %t, %v", ok, err)
	}
	losing(s.store, settleTries)
	if _, _, err := s.CreateKey(t.Context(), grant("t1", "alice")); !errors.Is(err, errLost) {
		t.Errorf("made: %v", err)
	}
	// The update of the old key is lost: the new one must not be good.
	cas, sent := s.store.db.CAS, 0
	s.store.cas = func(ctx context.Context, statement scylla.Statement) (bool, map[string]any, error) {
		if sent++; sent > 1 && sent <= 1+settleTries {
			return false, nil, errLost
		}
		return cas(ctx, statement)
	}
	if _, _, err := s.RotateKey(t.Context(), "t1", k.ID, time.Hour, "alice"); !errors.Is(err, errLost) {
		t.Errorf("rotated: %v", err)
	}
	p, err := s.ListKeys(t.Context(), "t1", "", 0)
	must(t, err)
	if len(p.All) != 3 || p.All[0].RotatedFrom != k.ID || p.All[0].Revoked.IsZero() {
		t.Errorf("the keys are %+v", p.All)
	}
	must(t, verify(t, s, token))

	// Nor does one wait who has gone away.
	ctx, cancel := context.WithCancel(t.Context())
	s.store.cas = func(context.Context, scylla.Statement) (bool, map[string]any, error) {
		cancel()
		return false, nil, errLost
	}
	if _, err := s.store.First(ctx, "key", time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("gone: %v", err)
	}
}

// An entry that was removed stays so, whenever a try of writing it arrives.
func TestLateEntries(t *testing.T) {
	s := instances(t, 1)[0].store
	e := entry{"x", gocql.TimeUUID(), "id"}
	for _, do := range []func(context.Context, entry) error{s.enter, s.leave, s.enter} {
		must(t, do(t.Context(), e))
	}
	if got, err := s.entries(t.Context(), "x", "", 10); err != nil || len(got) != 0 {
		t.Errorf("the list has %v, %v", got, err)
	}
}
