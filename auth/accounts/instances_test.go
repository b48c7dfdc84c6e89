package accounts

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/denylist"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/recent"
)

// outside does what it is given in a goroutine outside of the bubble, where the database is.
// For who waits, no time passes.
type outside struct {
	calls chan func()
	done  chan struct{}
}

func newOutside(t *testing.T) outside {
	o := outside{calls: make(chan func()), done: make(chan struct{})}
	go func() {
		for f := range o.calls {
			f()
			o.done <- struct{}{}
		}
	}()
	t.Cleanup(func() { close(o.calls) })
	return o
}

func (o outside) do(f func()) {
	o.calls <- f
	<-o.done
}

// counted counts the questions of an instance to the database, and may be cut off from it.
type counted struct {
	store *Store
	ctx   context.Context
	out   outside
	asked int
	err   error
}

func ask[V any](c *counted, f func(context.Context, string) (V, bool, error), key string) (v V, ok bool, err error) {
	c.asked++
	if c.err != nil {
		return v, false, c.err
	}
	c.out.do(func() { v, ok, err = f(c.ctx, key) })
	return v, ok, err
}

func (c *counted) Key(_ context.Context, id string) (apikey.Key, bool, error) {
	return ask(c, c.store.Key, id)
}
func (c *counted) Used(context.Context, string, time.Time) error { return nil }
func (c *counted) Revoked(_ context.Context, key string) (time.Time, bool, error) {
	return ask(c, c.store.Revoked, key)
}
func (c *counted) Owner(_ context.Context, credential string) (principal.Principal, bool, error) {
	return ask(c, c.store.Owner, credential)
}

// What was changed on one instance is in force on another one 5 seconds after that has looked,
// and in between it need not ask; without the database nothing passes that is older. The clock
// is that of the bubble, the database is real.
func TestInstances(t *testing.T) {
	both := instances(t, 2)
	here, there := both[0], both[1]
	off := tenant(t, here, "t1")
	g := grant("t1", "alice")
	g.Expires = time.Time{} // by the clock of the bubble, all is yet to come
	k, token, err := here.CreateKey(t.Context(), g)
	must(t, err)
	_, err = here.AddCredential(t.Context(), credential("t1", "alice", aliceDID))
	must(t, err)
	out, real := newOutside(t), t.Context()
	for name, test := range map[string]struct {
		change func() error
		passes func(*counted) func() error
	}{
		"a key is revoked": {
			func() error { return here.RevokeKey(real, "t1", k.ID) },
			func(c *counted) func() error {
				v, err := apikey.NewVerifier(apikey.Config{Env: "live", Peppers: here.config.Peppers, Store: c})
				return func() error {
					if err == nil {
						_, err := v.Verify(context.Background(), token.Text(), netip.Addr{})
						return err
					}
					return err
				}
			},
		},
		"a token is revoked": {
			func() error {
				return here.Revoke(real, denylist.TokenKey("issuer", "jti"), time.Now().Add(time.Hour), "root")
			},
			func(c *counted) func() error {
				return deny(c, principal.Token{Issuer: "issuer", ID: "jti", Principal: "bob", Tenant: "t1"})
			},
		},
		"a principal is revoked": {
			func() error { _, err := here.RevokePrincipal(real, "t1", "carol", "root"); return err },
			func(c *counted) func() error {
				return deny(c, principal.Token{Issuer: "issuer", ID: "other", Principal: "carol", Tenant: "t1"})
			},
		},
		"a credential is removed": {
			func() error { return here.RemoveCredential(real, "t1", aliceDID) },
			func(c *counted) func() error {
				owners, err := authn.NewOwners(c, recent.Config{})
				return func() error {
					if err != nil {
						return err
					}
					_, err := owners.OfProof(context.Background(), principal.MethodDID, aliceDID)
					return err
				}
			},
		},
		"a tenant is disabled": {
			func() (err error) {
				off.Disabled = true
				off, err = here.UpdateTenant(real, off)
				return err
			},
			func(c *counted) func() error {
				answers, err := recent.New(func(_ context.Context, id string) (Tenant, bool, error) {
					return ask(c, c.store.Tenant, id)
				}, recent.Config{})
				tenants := &Tenants{answers: answers}
				return func() error {
					if err != nil {
						return err
					}
					// Whatever was shown: a key, or a session that is still good.
					return admit(context.Background(), tenants, "t1")
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				other := &counted{store: there.store, ctx: real, out: out}
				cut := &counted{store: there.store, ctx: real, out: out}
				passes, passesCut := test.passes(other), test.passes(cut)
				for range 3 {
					must(t, passes())
					must(t, passesCut())
				}
				asked := other.asked
				var err error
				out.do(func() { err = test.change() })
				must(t, err)
				cut.err = errors.New("cut off")
				time.Sleep(denylist.Age - time.Millisecond)
				must(t, passes()) // it remembers; nothing else is promised
				must(t, passesCut())
				if other.asked != asked || asked == 0 {
					t.Errorf("it has asked %d times, then %d", asked, other.asked)
				}
				time.Sleep(time.Millisecond)
				var refusal *principal.Refusal
				if err := passes(); !errors.As(err, &refusal) {
					t.Errorf("after 5 seconds: %v", err)
				}
				var unavailable *principal.Unavailable
				if err := passesCut(); !errors.As(err, &unavailable) {
					t.Errorf("after 5 seconds without the database: %v", err)
				}
			})
		})
	}
}

// deny asks a denylist as those do who verify tokens.
func deny(c *counted, token principal.Token) func() error {
	list, err := denylist.New(c, 0)
	return func() error {
		if err != nil {
			return err
		}
		denied, err := list.Denied(context.Background(), token)
		switch {
		case err != nil:
			return principal.CannotCheck(time.Second, err)
		case denied:
			return principal.Refuse("denied", nil)
		}
		return nil
	}
}

// Who changes something has it at once.
func TestForget(t *testing.T) {
	s := instances(t, 1)[0]
	tenants, err := NewTenants(s.store, recent.Config{})
	must(t, err)
	keys := verifier(t, s)
	owners, err := authn.NewOwners(s.store, recent.Config{})
	must(t, err)
	list, err := denylist.New(s.store, 0)
	must(t, err)
	s, err = NewService(Config{Store: s.store, Env: "live", Peppers: peppers(t), Forget: Forget{
		Tenant: tenants.Forget, Key: keys.Forget, Credential: owners.Forget, Revocation: list.Forget,
	}})
	must(t, err)
	var refusal *principal.Refusal
	mustPass := func(want bool, f func() error) {
		t.Helper()
		if err := f(); want && err != nil || !want && !errors.As(err, &refusal) {
			t.Errorf("it should pass: %t, and it is %v", want, err)
		}
	}
	admitted := func() error { return admit(t.Context(), tenants, "t1") }
	mustPass(false, admitted)
	made := tenant(t, s, "t1")
	mustPass(true, admitted)
	old, oldToken := key(t, s, "t1", "alice")
	use := func() error {
		_, err := keys.Verify(t.Context(), oldToken.Text(), netip.Addr{})
		return err
	}
	mustPass(true, use)
	_, token, err := s.RotateKey(t.Context(), "t1", old.ID, 0, "alice")
	must(t, err)
	mustPass(false, use)
	oldToken = token
	mustPass(true, use)
	must(t, s.RevokeKey(t.Context(), "t1", token.ID))
	mustPass(false, use)
	prove := func() error {
		_, err := owners.OfProof(t.Context(), principal.MethodDID, aliceDID)
		return err
	}
	mustPass(false, prove)
	_, err = s.AddCredential(t.Context(), credential("t1", "alice", aliceDID))
	must(t, err)
	mustPass(true, prove)
	must(t, s.RemoveCredential(t.Context(), "t1", aliceDID))
	mustPass(false, prove)
	shows := func() error {
		denied, err := list.Denied(t.Context(), principal.Token{Issuer: "i", ID: "jti", Principal: "alice", Tenant: "t1", Issued: time.Now()})
		if denied {
			err = principal.Refuse("denied", nil)
		}
		return err
	}
	mustPass(true, shows)
	_, err = s.RevokePrincipal(t.Context(), "t1", "alice", "root")
	must(t, err)
	mustPass(false, shows)
	made.Disabled = true
	_, err = s.UpdateTenant(t.Context(), made)
	must(t, err)
	mustPass(false, admitted)
}

// admit refuses who is of a tenant that does not exist or is disabled, as the gateway does.
func admit(ctx context.Context, tenants *Tenants, id string) error {
	tenant, ok, err := tenants.Get(ctx, id)
	switch {
	case err != nil:
		return principal.CannotCheck(time.Second, err)
	case !ok || tenant.Disabled:
		return principal.Refuse("this tenant is not registered or disabled", nil)
	}
	return nil
}
