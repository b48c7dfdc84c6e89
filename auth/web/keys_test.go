package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/web"
)

func TestKeys(t *testing.T) {
	w := newWorld(t)
	w.want(w.ask("/ui/keys", nil, w.as(alice())), http.StatusOK, "You have no keys.", "See pins and their status")
	a := w.ask("/ui/keys", url.Values{"right": {"see", "remove"}, "days": {"30"}}, w.as(alice()))
	w.want(a, http.StatusCreated, "This is the only time that the key is shown.", w.url+"/psa")
	key := w.keys.list()[0]
	if !slices.Equal(key.Scopes, []string{"pins:delete", "pins:list", "pins:read", "status:read"}) || !slices.Equal(key.Roles, []string{"user"}) || key.Owner != "alice" || key.Tenant != "acme" ||
		key.CreatedBy != "alice" || time.Until(key.Expires).Round(time.Hour) != 30*24*time.Hour {
		t.Errorf("made was %+v", key.Grant)
	}
	secret := regexp.MustCompile(`id="secret"[^>]*value="(icp_live_[^"]*)"`).FindStringSubmatch(a.body)
	if secret == nil || w.keys.secrets[secret[1]] != key.ID {
		t.Fatalf("the page shows the secret %q", secret)
	}
	if event, result := w.last(); event.Action != "keys:create" || result.ResourceID != key.ID {
		t.Errorf("on record is %+v %+v", event, result)
	}
	a = w.ask("/ui/keys", nil, w.as(alice()))
	w.want(a, http.StatusOK, "icp_live_"+key.ID+"_…", "active", "pins:delete", "never")
	if strings.Contains(a.body, secret[1]) {
		t.Error("the list shows the secret")
	}

	w.want(w.ask("/ui/keys/"+key.ID+"/rotate", nil, w.as(alice())), http.StatusOK, "Rotate this key", "in 1 day")
	w.want(w.ask("/ui/keys/"+key.ID+"/rotate", url.Values{"hours": {"1"}}, w.as(alice())), http.StatusCreated, "It takes the place of the key", key.ID)
	all := w.keys.list()
	if len(all) != 2 || all[1].RotatedFrom != key.ID || time.Until(all[0].Expires) > time.Hour {
		t.Errorf("after the rotation there are %+v", all)
	}
	w.want(w.ask("/ui/keys/"+key.ID+"/revoke", nil, w.as(alice())), http.StatusOK, "Revoke this key?")
	w.wantTo(w.ask("/ui/keys/"+key.ID+"/revoke", url.Values{}, w.as(alice())), "/ui/keys?done=revoked")
	w.want(w.ask("/ui/keys?done=revoked", nil, w.as(alice())), http.StatusOK, "The key was revoked.", `class="status revoked"`)

	// All pages of the tenant's keys are read for those of one.
	w.keys.perPage = 1
	if a := w.ask("/ui/keys", nil, w.as(alice())); strings.Count(a.body, "icp_live_") != 2 {
		t.Errorf("of two keys one is not listed:\n%s", a.body)
	}
}

// TestKeysRefused: a key is good for no more than who makes it.
func TestKeysRefused(t *testing.T) {
	w := newWorld(t)
	reader := alice()
	reader.Scopes = []string{"keys:*", "pins:list", "pins:read", "status:read"}
	a := w.ask("/ui/keys", nil, w.as(reader))
	if !strings.Contains(a.body, "See pins") || strings.Contains(a.body, "Remove pins") {
		t.Errorf("a reader may choose\n%s", a.body)
	}
	w.want(w.ask("/ui/keys", url.Values{"right": {"remove"}, "days": {"30"}}, w.as(reader)), http.StatusBadRequest, "Choose at least one thing")
	w.want(w.ask("/ui/keys", url.Values{"days": {"30"}}, w.as(alice())), http.StatusBadRequest, "Choose at least one thing")
	w.want(w.ask("/ui/keys", url.Values{"right": {"see"}, "days": {"10000"}}, w.as(alice())), http.StatusBadRequest, "Days is not one of those")
	w.want(w.ask("/ui/keys", url.Values{"right": {"see"}}, w.as(alice())), http.StatusBadRequest)
	if len(w.keys.list()) != 0 {
		t.Fatal("a key was made")
	}
	w.want(w.ask("/ui/keys", url.Values{"right": {"see", "remove"}, "days": {"30"}}, w.as(alice())), http.StatusCreated)
	key := w.keys.list()[0].ID
	// A session that is good for less does not get a key that is good for more.
	w.want(w.ask("/ui/keys/"+key+"/rotate", url.Values{"hours": {"1"}}, w.as(reader)), http.StatusForbidden, "the scope &#34;pins:delete&#34; is not one")
	w.want(w.ask("/ui/keys/"+key+"/rotate", url.Values{"hours": {"1000"}}, w.as(alice())), http.StatusBadRequest)
	// A key makes no key: it may be good in some networks only.
	grant := w.keys.list()[0].Grant
	grant.Scopes, grant.Roles = []string{"*"}, []string{"user"}
	_, token, err := w.keys.CreateKey(t.Context(), grant)
	if err != nil {
		t.Fatal(err)
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token.Text()) }
	w.want(w.ask("/ui/keys", url.Values{"right": {"see"}, "days": {"30"}}, bearer), http.StatusForbidden, "a key makes no other here")
	w.want(w.ask("/ui/keys/"+key+"/rotate", url.Values{"hours": {"1"}}, bearer), http.StatusForbidden)
	if len(w.keys.list()) != 2 {
		t.Error("a key was made")
	}
	none := newWorld(t, func(c *web.Config) { c.Keys = nil })
	none.want(none.ask("/ui/keys", nil, none.as(alice())), http.StatusNotFound)
	if a := none.ask("/ui/pins", nil, none.as(alice())); strings.Contains(a.body, "API keys") {
		t.Error("without keys there is a link to them")
	}
}
