package door_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// open serves the route that is open.
func (w *world) open(serve func(c *door.Call) error) {
	w.served["Health"] = func(out http.ResponseWriter, c *door.Call) error {
		if err := serve(c); err != nil {
			return err
		}
		out.WriteHeader(http.StatusNoContent)
		return nil
	}
}

func TestRefusedProofs(t *testing.T) {
	cause := errors.New("cause")
	for name, test := range map[string]struct {
		err    error
		status int
		reason string
		failed bool
	}{
		"refused":        {principal.Refuse("no", cause), 401, authn.InvalidToken, true},
		"malformed":      {principal.RefuseMalformed("what?", cause), 400, authn.InvalidRequest, true},
		"as authn says":  {&authn.Error{Status: 403, Reason: authn.Forbidden, Method: principal.MethodDID}, 403, authn.Forbidden, true},
		"not checked":    {principal.CannotCheck(7*time.Second, cause), 503, authn.DependencyUnavailable, false},
		"of nobody":      {cause, 503, authn.DependencyUnavailable, false},
		"authn was down": {&authn.Error{Status: 503, Reason: authn.DependencyUnavailable}, 503, authn.DependencyUnavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.open(func(c *door.Call) error { return c.Refused(principal.MethodDID, test.err) })
			answer := w.ask("GET", "/health", "", nil)
			w.want(answer, test.status, test.reason)
			if (answer.Header().Get("WWW-Authenticate") != "") != (test.status == 401) {
				t.Errorf("the headers are %v", answer.Header())
			}
			if name == "not checked" && answer.Header().Get("Retry-After") != "7" {
				t.Errorf("Retry-After is %q", answer.Header().Get("Retry-After"))
			}
			switch {
			case !test.failed && len(w.records) > 0:
				t.Errorf("on record is %+v", w.records[0])
			case test.failed && (len(w.records) != 1 || w.records[0].Kind != audit.Failed || w.records[0].Attempts.Method != "did" || w.records[0].Attempts.Reason != test.reason):
				t.Errorf("the records are %+v", w.records)
			}
		})
	}
	w := newWorld(t)
	failures := new(often)
	w.config.Failures = failures
	w.open(func(c *door.Call) error { return c.Refused(principal.MethodDID, principal.Refuse("no", nil)) })
	w.want(w.ask("GET", "/health", "", nil), 429, door.RateLimited)
	if len(failures.keys) != 1 {
		t.Errorf("failures are counted by %q", failures.keys)
	}
}

func TestProved(t *testing.T) {
	alice := principal.Principal{ID: "alice", Tenant: "t1", Method: principal.MethodDID, Credential: "did:key:z"}
	w := newWorld(t)
	prove := func(p principal.Principal) { w.open(func(c *door.Call) error { return c.Proved(p) }) }
	prove(alice)
	if answer := w.ask("GET", "/health", "", nil); answer.Code != http.StatusNoContent {
		t.Fatal(answer.Code, answer.Body)
	}
	if r := w.records[0]; r.Kind != audit.Done || r.Event.Actor.Principal != "alice" || r.Event.Actor.Method != "did" || r.Event.Action != "pinning:Health" || r.Result.Verdict != audit.Success {
		t.Errorf("on record is %+v", r)
	}
	if w.seen[0].Method != principal.MethodDID {
		t.Errorf("seen as %+v", w.seen[0])
	}
	w.broken = errors.New("the disk is full")
	w.want(w.ask("GET", "/health", "", nil), 503, door.AuditUnavailable)
	w.broken = nil
	disabled, lost := alice, alice
	disabled.Tenant, lost.Tenant = "gone", "lost"
	prove(disabled)
	w.want(w.ask("GET", "/health", "", nil), 403, authn.Forbidden)
	prove(lost)
	w.want(w.ask("GET", "/health", "", nil), 503, authn.DependencyUnavailable)
	prove(alice)
	w.config.Principals = new(often)
	w.want(w.ask("GET", "/health", "", nil), 429, door.RateLimited)
}

func TestDoOwn(t *testing.T) {
	w := newWorld(t)
	resource := audit.Resource{Kind: "session", ID: "s1"}
	w.open(func(c *door.Call) error {
		return c.DoOwn(204, resource, func(ctx context.Context) error {
			if kinds := w.kinds(); !slices.Equal(kinds, []audit.Kind{audit.Intent}) {
				t.Errorf("when it is done the records are %v", kinds)
			}
			return ctx.Err()
		})
	})
	if answer := w.ask("GET", "/health", "", nil); answer.Code != http.StatusNoContent {
		t.Fatal(answer.Code, answer.Body)
	}
	if w.records[0].Event.Resource != resource || w.records[1].Kind != audit.Outcome || w.records[1].Result.Status != 204 {
		t.Errorf("the records are %+v", w.records)
	}
	w.broken = errors.New("the disk is full")
	w.open(func(c *door.Call) error {
		return c.DoOwn(204, resource, func(context.Context) error {
			t.Error("it was done without a record")
			return nil
		})
	})
	w.want(w.ask("GET", "/health", "", nil), 503, door.AuditUnavailable)
}

func TestLimit(t *testing.T) {
	w := newWorld(t)
	rates := new(often)
	w.open(func(c *door.Call) error { return c.Limit(rates) })
	w.want(w.ask("GET", "/health", "", nil), 429, door.RateLimited)
	if !slices.Equal(rates.keys, []string{"192.0.2.0/24"}) {
		t.Errorf("requests are counted by %q", rates.keys)
	}
	w.open(func(c *door.Call) error { return c.Limit(nil) })
	if answer := w.ask("GET", "/health", "", nil); answer.Code != http.StatusNoContent {
		t.Errorf("without a limit: %d", answer.Code)
	}
}
