package peerapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/ipfs/go-cid"
)

// streamError is the trailer that says what went wrong behind the first item of a
// stream.
const streamError = "X-Stream-Error"

// Status asks what the peers do with some CIDs. The answer has each of them, under the
// text that it was asked for by; the same CID in two texts is asked for once. Any number
// may be asked for: they go into as many requests as are needed, one after the other.
func (c *Client) Status(ctx context.Context, cids []string) (map[string]Status, error) {
	byCID := make(map[string][]string) // the texts of a CID, by the one that peers write
	var wanted []string
	for _, text := range cids {
		parsed, err := cid.Decode(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %.100q is not a CID: %w", errInvalid, text, err)
		}
		id := parsed.String()
		if byCID[id] == nil {
			wanted = append(wanted, id)
		}
		byCID[id] = append(byCID[id], text)
	}
	all := make(map[string]Status, len(cids))
	for len(wanted) > 0 {
		batch := wanted[:batchSize(wanted)]
		wanted = wanted[len(batch):]
		var got map[string]Status
		read := func(a answer) (err error) {
			got, err = readStatus(a, batch)
			return err
		}
		err := c.ask(ctx, question{http.MethodGet, "/pins", "cids=" + strings.Join(batch, ","), read})
		if err != nil {
			return nil, fmt.Errorf("reading the status of %d CIDs: %w", len(batch), err)
		}
		for id, status := range got {
			for _, text := range byCID[id] {
				all[text] = status
			}
		}
	}
	return all, nil
}

// maxBatch is how many CIDs are asked for at once. The peer asks others about each of
// them at the same time.
const maxBatch = 100

// batchSize is how many of some CIDs fit into a request, at least one.
func batchSize(ids []string) int {
	size := 0
	for i, id := range ids {
		if size += len(id) + 1; i == maxBatch || i > 0 && size > maxQuery {
			return i
		}
	}
	return len(ids)
}

// readStatus reads a stream of what the peers do with each of some CIDs.
func readStatus(a answer, wanted []string) (map[string]Status, error) {
	got := make(map[string]Status, len(wanted))
	for body := json.NewDecoder(limited(a)); ; {
		var info infoJSON
		err := body.Decode(&info)
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, broken(err)
		}
		got[info.Cid] = info.status()
	}
	if said := trailerOf(a.Response); said != "" {
		return nil, fmt.Errorf("the answer broke off: %s", said)
	}
	for _, id := range wanted {
		if _, has := got[id]; !has {
			return nil, fmt.Errorf("the answer has %d of %d CIDs, and not %s", len(got), len(wanted), id)
		}
	}
	if len(got) != len(wanted) {
		return nil, fmt.Errorf("the answer has %d CIDs, not %d", len(got), len(wanted))
	}
	return got, nil
}

// trailerOf is what went wrong behind the first item of an answer, "" for nothing. A peer
// sends an empty text first. It is at most as long as the message of an error.
func trailerOf(response *http.Response) string {
	said := strings.Trim(strings.Join(response.Trailer.Values(streamError), "; "), "; ")
	return said[:min(len(said), maxMessage)]
}

// Health returns nil if one of the peers answers.
func (c *Client) Health(ctx context.Context) error {
	return c.ask(ctx, question{http.MethodGet, "/health", "", func(a answer) error {
		if a.StatusCode != http.StatusNoContent {
			return fmt.Errorf("it is not a peer: its health is %s", a.Status)
		}
		return nil
	}})
}

// errNoAddresses is of a peer that answers as it should, and cannot help.
var errNoAddresses = errors.New("its IPFS daemon has no addresses")

// Addresses returns the addresses of a peer's IPFS daemon, at most 20: those of the first
// peer that answers and has some. They serve as delegates of a pin that no peer has
// heard of. There are none only with an error.
func (c *Client) Addresses(ctx context.Context) ([]string, error) {
	var found []string
	err := c.ask(ctx, question{http.MethodGet, "/id", "", func(a answer) error {
		var id struct {
			IPFS struct {
				Addresses []string `json:"addresses"`
				Error     string   `json:"error"`
			} `json:"ipfs"`
		}
		if err := readObject(a, &id); err != nil {
			return err
		}
		found = infoJSON{Peers: map[string]peerJSON{"": {Addresses: id.IPFS.Addresses}}}.addresses([]string{""})
		if len(found) == 0 {
			return fmt.Errorf("%w: %.1000s", errNoAddresses, id.IPFS.Error)
		}
		return nil
	}})
	if err != nil {
		return nil, fmt.Errorf("reading the addresses of an IPFS daemon: %w", err)
	}
	return found, nil
}
