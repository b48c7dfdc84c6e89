package native

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pinapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
)

// addOptions are the parameters that say how content is added, not how it is pinned.
var addOptions = []string{"layout", "chunker", "raw-leaves", "hidden", "wrap-with-directory", "progress", "cid-version", "hash", "stream-channels", "nocopy", "format"}

// maxLine bounds a line of a peer's answer, in bytes.
const maxLine = 64 << 10

// add sends content to a peer, which does not pin it, and then makes a request for its
// root: so that there is no moment at which the cluster has a pin that nobody owns.
func (a *API) add(w http.ResponseWriter, c *door.Call) error {
	values, err := parseQuery(c)
	if err != nil {
		return err
	}
	forward := url.Values{"no-pin": {"true"}}
	for name := range values {
		if slices.Contains(addOptions, name) {
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

// maxAdded bounds how many files are added at once.
const maxAdded = 100_000

// send gives the content of a request to a peer and returns what that says of it, and the
// root, which it says last. It ends when the client leaves: nothing is pinned yet.
func (a *API) send(c *door.Call, query url.Values) (added []json.RawMessage, root string, err error) {
	answer, err := a.ask(c.Request.Context(), Message{
		Method: http.MethodPost, Path: "/add", Query: query.Encode(), Header: routes.Outbound(c.Request.Header), Body: c.Request.Body,
	})
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, "", refused(answer)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var of struct {
			CID string `json:"cid"`
		}
		if err := json.Unmarshal(line, &of); err != nil {
			return nil, "", unreachable(fmt.Errorf("reading what a peer says of what is added: %w", err))
		}
		if of.CID != "" {
			root = of.CID
		}
		if added = append(added, bytes.Clone(line)); len(added) > maxAdded {
			return nil, "", door.Invalid("more than %d files are added at once: add the folders one by one", maxAdded)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, "", unreachable(fmt.Errorf("reading what a peer says of what is added: %w", err))
	}
	if err := streamError(answer); err != nil {
		return nil, "", unreachable(err)
	}
	if root, err = pinapi.CID(root); err != nil {
		return nil, "", unreachable(errors.New("a peer did not say what was added"))
	}
	return added, root, nil
}

// refused is the Problem of content that a peer did not take.
func refused(answer *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if err != nil || answer.StatusCode >= http.StatusInternalServerError && answer.StatusCode != http.StatusInternalServerError {
		return unreachable(fmt.Errorf("adding: a peer answered %s", answer.Status))
	}
	var of upstreamError
	if json.Unmarshal(text, &of) != nil || of.Message == "" {
		of.Message = strings.TrimSpace(string(text))
	}
	if answer.StatusCode >= http.StatusInternalServerError {
		return unreachable(fmt.Errorf("adding: a peer answered %s: %s", answer.Status, of.Message))
	}
	return door.Invalid("the content was not taken: %.500s", of.Message)
}
