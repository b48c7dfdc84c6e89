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
	"strconv"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/peerapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pinapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
)

// addOptions are the parameters that say how content is added, not how it is pinned.
func addOptions() []string {
	return []string{"layout", "chunker", "raw-leaves", "hidden", "wrap-with-directory", "progress", "cid-version", "hash", "stream-channels", "format"}
}

// adding is a request to add content.
type adding struct {
	wanted  pins.NewRequest // without a CID
	forward url.Values      // what the peer is told
	array   bool            // the answer is one list
}

// parseAdding reads a query, with upstream's names.
func parseAdding(c *door.Call) (adding, error) {
	values, err := parseQuery(c)
	if err != nil {
		return adding{}, err
	}
	for _, unused := range []string{"shard", "no-pin", "nocopy"} { // nocopy is for files on the machine of the peer
		set, err := flag(values, unused, false)
		switch {
		case err != nil:
			return adding{}, err
		case set:
			return adding{}, door.Invalid("%s cannot be set through the gateway", unused)
		}
		values.Del(unused)
	}
	stream, err := flag(values, "stream-channels", true)
	if err != nil {
		return adding{}, err
	}
	forward := url.Values{"no-pin": {"true"}}
	for _, name := range addOptions() {
		if values.Has(name) {
			forward.Set(name, values.Get(name))
			values.Del(name)
		}
	}
	forward.Set("stream-channels", "true") // an answer that fails on the way is told from a short one
	wanted, err := parseOptions(values)
	if err != nil {
		return adding{}, err
	}
	wanted.Tenant, wanted.Owner = c.Principal.Tenant, c.Principal.ID
	return adding{wanted, forward, !stream}, nil
}

// flag reads a parameter that is true or false as upstream does.
func flag(values url.Values, name string, unset bool) (bool, error) {
	text := values.Get(name)
	if text == "" {
		return unset, nil
	}
	set, err := strconv.ParseBool(text)
	if err != nil {
		return false, door.Invalid("%s is %.20q, and neither true nor false", name, text)
	}
	return set, nil
}

// add sends content to a peer, which does not pin it, and then makes a request for its
// root: so that there is no moment at which the cluster has a pin that nobody owns. Both are
// decided about and on record: the content before it is sent, and the request when its CID
// is known. Nothing is read of content for which the tenant has no room.
func (a *API) add(w http.ResponseWriter, c *door.Call) error {
	adding, err := parseAdding(c)
	if err != nil {
		return err
	}
	wanted := adding.wanted
	if err := a.pins.CheckOptions(wanted); err != nil {
		return pinapi.Problem(err)
	}
	if c.Request.ContentLength > a.maxAddBytes {
		return tooMuch(a.maxAddBytes)
	}
	done, err := a.uploads.begin(wanted.Tenant)
	if err != nil {
		return err
	}
	defer done()
	c.Patient()
	c.Request.Body = http.MaxBytesReader(w, c.Request.Body, a.maxAddBytes)
	var added []json.RawMessage
	err = c.Do(http.StatusOK, []door.Step{{Action: c.Route.Action, Resource: pinapi.Wanted(wanted)}}, func(ctx context.Context) (string, error) {
		// A length that is not known is -1.
		err := pinapi.Problem(a.pins.Room(ctx, wanted.Tenant, max(0, c.Request.ContentLength)))
		if err != nil {
			return "", err
		}
		added, wanted.CID, err = a.send(c, adding.forward)
		return wanted.CID, err
	})
	if err != nil {
		return err
	}
	err = c.Do(http.StatusOK, []door.Step{{Action: c.Route.Action, Resource: pinapi.Wanted(wanted)}}, func(ctx context.Context) (string, error) {
		made, err := a.pins.Create(ctx, wanted)
		return made.ID, pinapi.Problem(err)
	})
	if err != nil {
		return err
	}
	if adding.array {
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
