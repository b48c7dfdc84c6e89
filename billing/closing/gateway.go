package closing

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// Gateway is the administration API of a gateway as a Source.
type Gateway struct {
	// URL is where it is, without a path, as https://gateway.example.
	URL string
	// Token returns what proves who asks: an operator, with the scopes admin:tenants-list and
	// admin:claims-read.
	Token func() (string, error)
	// Client is http.DefaultClient if it is nil. One with a timeout cuts a long export off.
	Client *http.Client
}

const (
	// maxLine is how long a line of an export may be, in bytes.
	maxLine = 1 << 20
	// maxPage is how long a page of tenants may be, in bytes.
	maxPage = 16 << 20
	// maxSaid is how much of an answer that is an error is told.
	maxSaid = 512
)

// Owners implements Source: an owner is a tenant.
func (g *Gateway) Owners(ctx context.Context, f func(owner string) error) error {
	for after := ""; ; {
		query := make(url.Values)
		if after != "" {
			query.Set("after", after)
		}
		var page struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
			Next string `json:"next"`
		}
		err := g.get(ctx, "/admin/tenants", query, func(body io.Reader) error {
			return json.NewDecoder(io.LimitReader(body, maxPage)).Decode(&page)
		})
		if err != nil {
			return fmt.Errorf("reading the tenants of the gateway: %w", err)
		}
		for _, tenant := range page.Items {
			if err := f(tenant.ID); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		after = page.Next
	}
}

// Claims implements Source.
func (g *Gateway) Claims(ctx context.Context, owner string, endedSince time.Time, f func(events.ClaimData) error) error {
	query := make(url.Values)
	if !endedSince.IsZero() {
		query.Set("ended_since", endedSince.UTC().Format(time.RFC3339))
	}
	return g.get(ctx, "/admin/tenants/"+url.PathEscape(owner)+"/claims", query, func(body io.Reader) error { return readClaims(body, f) })
}

// get asks, and hands over the body of an answer that is good.
func (g *Gateway) get(ctx context.Context, path string, query url.Values, read func(io.Reader) error) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL+path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return fmt.Errorf("the URL of the gateway: %w", err)
	}
	if g.Token != nil {
		token, err := g.Token()
		if err != nil {
			return fmt.Errorf("the token for the gateway: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	client := g.Client
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("asking the gateway: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read as far as it matters
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, maxSaid)) // as much as there is
		return fmt.Errorf("the gateway answers %s: %s", answer.Status, said)
	}
	return read(answer.Body)
}

// errCut says that an export has no end.
var errCut = errors.New("the export of the gateway is cut off")

// readClaims reads an export: lines, each a claim.
func readClaims(body io.Reader, f func(events.ClaimData) error) error {
	lines := bufio.NewReaderSize(body, 64<<10)
	for n := 1; ; n++ {
		line, err := readLine(lines)
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return errCut
		case err != nil:
			return fmt.Errorf("line %d of the export of the gateway: %w", n, err)
		}
		var d events.ClaimData
		if err := json.Unmarshal(line, &d); err != nil {
			return fmt.Errorf("line %d of the export of the gateway: %w", n, err)
		}
		if d.RequestID == "" || d.Owner == "" || d.Cid == "" || d.Accepted.IsZero() {
			return fmt.Errorf("line %d of the export of the gateway has no owner, request, CID or time", n)
		}
		if err := f(d); err != nil {
			return err
		}
	}
}

// readLine returns a line with its end, or what there is of it with io.EOF.
func readLine(from *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := from.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > maxLine {
			return nil, fmt.Errorf("it is longer than %d bytes", maxLine)
		}
	}
}
