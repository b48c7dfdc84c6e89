package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

const (
	// keysPage is the page of keys.
	keysPage = "/ui/keys"
	// maxReads bounds how many pages of a tenant's keys are read for one of a principal's.
	maxReads = 20
)

// keyView is a key as a page shows it.
type keyView struct {
	accounts.ListedKey
	// State is "active", "expired" or "revoked".
	State string
}

func (p *Pages) keyView(key accounts.ListedKey) keyView {
	state := "active"
	switch {
	case !key.Revoked.IsZero():
		state = "revoked"
	case !key.Expires.IsZero() && !p.now().Before(key.Expires):
		state = "expired"
	}
	return keyView{key, state}
}

// keysView is the page of keys.
type keysView struct {
	Create createView
	Keys   []keyView
	Older  string // a link, empty if there is none
	Done   string // "revoked" or ""
}

func (p *Pages) keys(w http.ResponseWriter, c *door.Call) error {
	if err := c.Allow(authz.Tenant(c.Principal.Tenant)); err != nil {
		return err
	}
	values := c.Request.URL.Query()
	after, err := one(values, "after")
	if err != nil {
		return err
	}
	view := keysView{Create: newCreateView(c.Principal)}
	if values.Get("done") == "revoked" {
		view.Done = "revoked"
	}
	for range maxReads {
		found, err := p.config.Keys.ListKeys(c.Request.Context(), c.Principal.Tenant, after, accounts.MaxPage)
		if err != nil {
			return keyProblem(err)
		}
		for _, key := range found.All {
			if key.Owner == c.Principal.ID {
				view.Keys = append(view.Keys, p.keyView(key))
			}
		}
		if after = found.Next; after == "" || len(view.Keys) >= perPage {
			break
		}
	}
	if after != "" {
		view.Older = keysPage + "?" + url.Values{"after": {after}}.Encode()
	}
	return p.show(w, http.StatusOK, "keys", p.page(c, "API keys", "keys", view))
}

// keyProblem turns an error of package accounts into what a client is told. Nil stays nil.
func keyProblem(err error) error {
	var told *door.Problem
	var invalid *accounts.InvalidError
	var excess *accounts.ExcessError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &told):
		return told
	case errors.Is(err, accounts.ErrNotFound):
		return door.Missing()
	case errors.Is(err, accounts.ErrChanged):
		return &door.Problem{Status: http.StatusConflict, Reason: door.Changed, Details: "the key was changed meanwhile: look at it again"}
	case errors.Is(err, accounts.ErrRevoked):
		return &door.Problem{Status: http.StatusUnauthorized, Reason: authn.InvalidToken, Details: "the session was revoked"}
	case errors.As(err, &excess):
		return &door.Problem{Status: http.StatusForbidden, Reason: authn.Forbidden, Details: excess.Error()}
	case errors.As(err, &invalid):
		return door.Invalid("%s", invalid)
	}
	return door.Unavailable(err)
}

// newKeyView is a key that was just made.
type newKeyView struct {
	Secret  string
	Key     apikey.Key
	Gateway string
	// Before is the key whose place it takes, "" if there is none.
	Before string
}

func (p *Pages) createKey(w http.ResponseWriter, c *door.Call) error {
	if err := readForm(w, c.Request); err != nil {
		return err
	}
	view := newCreateView(c.Principal)
	grant, err := view.read(c.Request.PostForm, c.Principal, p.now())
	var made apikey.Key
	var token apikey.Token
	if err == nil {
		step := door.Step{Action: c.Route.Action, Resource: authz.Key{Tenant: grant.Tenant, Owner: grant.Owner}}
		err = c.Do(http.StatusCreated, []door.Step{step}, func(ctx context.Context) (string, error) {
			err := mayGive(c.Principal, grant)
			if err == nil {
				made, token, err = p.config.Keys.CreateKey(ctx, grant)
			}
			return made.ID, keyProblem(err)
		})
	}
	if problem, ok := said(err); ok {
		view.Problem = problem
		return p.show(w, statusOf(err), "createkey", p.page(c, "Create a key", "keys", view))
	}
	if err != nil {
		return err
	}
	return p.showNew(w, c, made, token)
}

func (p *Pages) showNew(w http.ResponseWriter, c *door.Call, made apikey.Key, token apikey.Token) error {
	view := newKeyView{token.Text(), made, p.config.Gateway, made.RotatedFrom}
	return p.show(w, http.StatusCreated, "newkey", p.page(c, "Your new key", "keys", view))
}

// ownKey returns the key of who asks that the path names. That of somebody else is not
// there.
func (p *Pages) ownKey(c *door.Call) (apikey.Key, error) {
	key, err := p.config.Keys.Key(c.Request.Context(), c.Principal.Tenant, c.Route.Vars["key"])
	if err == nil && key.Owner != c.Principal.ID {
		err = door.Missing()
	}
	return key, keyProblem(err)
}

func keyStep(c *door.Call, key apikey.Key) []door.Step {
	return []door.Step{{Action: c.Route.Action, Resource: authz.Key{ID: key.ID, Tenant: key.Tenant, Owner: key.Owner}}}
}

func (p *Pages) askRevokeKey(w http.ResponseWriter, c *door.Call) error {
	return p.askKey(w, c, "revokekey", "Revoke a key")
}

func (p *Pages) askRotateKey(w http.ResponseWriter, c *door.Call) error {
	return p.askKey(w, c, "rotatekey", "Rotate a key")
}

// askKey asks before something is done to a key.
func (p *Pages) askKey(w http.ResponseWriter, c *door.Call, name, title string) error {
	if err := c.Allow(authz.Tenant(c.Principal.Tenant)); err != nil {
		return err
	}
	key, err := p.ownKey(c)
	if err != nil {
		return err
	}
	view := struct {
		keyView
		Overlaps []choice
	}{p.keyView(accounts.ListedKey{Key: key}), overlaps()}
	return p.show(w, http.StatusOK, name, p.page(c, title, "keys", view))
}

func (p *Pages) revokeKey(w http.ResponseWriter, c *door.Call) error {
	key, err := p.ownKey(c)
	if err != nil {
		return err
	}
	err = c.Do(http.StatusSeeOther, keyStep(c, key), func(ctx context.Context) (string, error) {
		return "", keyProblem(p.config.Keys.RevokeKey(ctx, key.Tenant, key.ID))
	})
	if err != nil {
		return err
	}
	goTo(w, keysPage+"?done=revoked")
	return nil
}

// rotateKey makes a key that takes the place of another one. Who asks gets its secret, so
// that it is bounded as one that they make.
func (p *Pages) rotateKey(w http.ResponseWriter, c *door.Call) error {
	if err := readForm(w, c.Request); err != nil {
		return err
	}
	hours, err := choose(c.Request.PostForm, "hours", overlaps())
	if err != nil {
		return err
	}
	key, err := p.ownKey(c)
	if err != nil {
		return err
	}
	var made apikey.Key
	var token apikey.Token
	err = c.Do(http.StatusCreated, keyStep(c, key), func(ctx context.Context) (string, error) {
		err := mayGive(c.Principal, key.Grant)
		if err == nil {
			made, token, err = p.config.Keys.RotateKey(ctx, key.Tenant, key.ID, time.Duration(hours)*time.Hour, c.Principal.ID)
		}
		return made.ID, keyProblem(err)
	})
	if err != nil {
		return err
	}
	return p.showNew(w, c, made, token)
}
