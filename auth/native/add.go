package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/peerapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pinapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
)

// addOptions are the parameters that say how content is added, not how it is pinned.
func addOptions() []string {
	return []string{"layout", "chunker", "raw-leaves", "hidden", "wrap-with-directory", "progress", "cid-version", "hash", "stream-channels", "nocopy", "format"}
}

// add sends content to a peer, which does not pin it, and then makes a request for its
// root: so that there is no moment at which the cluster has a pin that nobody owns.
func (a *API) add(w http.ResponseWriter, c *door.Call) error {
	values, err := parseQuery(c)
	if err != nil {
		return err
	}
	forward := url.Values{"no-pin": {"true"}}
	for name := range values {
		if slices.Contains(addOptions(), name) {
			forward.Set(name, values.Get(name))
			values.Del(name)
		}
	}
	if forward.Get("nocopy") == "true" {
		return door.Invalid("nocopy is for files on the machine of the peer")
	}
	array := forward.Get("stream-channels") == "false"
	forward.Set("stream-channels", "true") // an answer that fails on the way is told from a short one
	for _, unused := range []string{"shard", "no-pin"} {
		if text := values.Get(unused); text != "" && text != "false" {
			return door.Invalid("%s cannot be set through the gateway", unused)
		}
		values.Del(unused)
	}
	wanted, err := parseOptions(values)
	if err != nil {
		return err
	}
	wanted.Tenant, wanted.Owner = c.Principal.Tenant, c.Principal.ID
	var added []json.RawMessage
	err = c.Do(http.StatusOK, []door.Step{{Action: c.Route.Action, Resource: pinapi.Wanted(wanted)}}, func(ctx context.Context) (string, error) {
		var err error
		if added, wanted.CID, err = a.send(c, forward); err != nil {
			return "", err
		}
		made, err := a.pins.Create(ctx, wanted)
		return made.ID, pinapi.Problem(err)
	})
	if err != nil {
		return err
	}
	if array {
		door.WriteJSON(w, http.StatusOK, contentType, added)
		return nil
	}
	out := newStream(w)
	for _, line := range added {
		if err := out.send(line); err != nil {
			return err
		}
	}
	return out.flush()
}

// send gives the content of a request to a peer and returns what that says of it, and the
// root, which it says last. It ends when the client leaves: nothing is pinned yet.
func (a *API) send(c *door.Call, query url.Values) (added []json.RawMessage, root string, err error) {
	answer, err := a.ask(c.Request.Context(), peerapi.Request{
		Method: http.MethodPost, Path: "/add", Query: query, Allowed: slices.Collect(maps.Keys(query)), Header: routes.Outbound(c.Request.Header),
		Body: c.Request.Body, Length: c.Request.ContentLength,
	})
	switch {
	case err != nil:
		return nil, "", err
	case answer.status != http.StatusOK:
		return nil, "", refused(answer)
	}
	decoder := json.NewDecoder(&answer.body)
	for {
		var line json.RawMessage
		err := decoder.Decode(&line)
		if errors.Is(err, io.EOF) {
			break
		}
		var of struct {
			CID string `json:"cid"`
		}
		if err == nil {
			err = json.Unmarshal(line, &of)
		}
		if err != nil {
			return nil, "", unusable(fmt.Errorf("reading what a peer says of what is added: %w", err))
		}
		if of.CID != "" {
			root = of.CID
		}
		added = append(added, line)
	}
	if root, err = pinapi.CID(root); err != nil {
		return nil, "", unusable(errors.New("a peer did not say what was added"))
	}
	return added, root, nil
}

// refused is the Problem of content that a peer did not take.
func refused(answer *answer) error {
	var of upstreamError
	if json.Unmarshal(answer.body.Bytes(), &of) != nil || of.Message == "" {
		of.Message = answer.body.String()
	}
	if answer.status >= http.StatusInternalServerError {
		return unusable(fmt.Errorf("adding: a peer answered %d: %.500s", answer.status, of.Message))
	}
	return door.Invalid("the content was not taken: %.500s", of.Message)
}
