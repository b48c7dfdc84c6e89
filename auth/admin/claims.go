package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

const (
	linesType = "application/x-ndjson"
	// linesBuffer is how much of an answer is collected before it is sent, in bytes.
	linesBuffer = 32 << 10
)

// Claims tell what a tenant has, and what it had.
type Claims interface {
	// EachClaim calls f with each claim that a tenant has, and with each that ended since a
	// time, until f fails; a zero time means none of these. It reads as fast as f returns.
	EachClaim(ctx context.Context, tenant string, endedSince time.Time, f func(events.ClaimData) error) error
}

// listClaims answers with a line for each claim. One that is cut off is not the whole: the
// connection ends without the end of the answer.
func (a *API) listClaims(w http.ResponseWriter, c *door.Call) error {
	tenant, err := variable(c, "tenant")
	if err != nil {
		return err
	}
	since, err := endedSince(c)
	if err != nil {
		return err
	}
	if err := c.Allow(authz.Tenant(tenant)); err != nil {
		return err
	}
	if a.config.Claims == nil {
		return door.Missing()
	}
	if err := a.exists(c, tenant); err != nil {
		return err
	}
	w.Header().Set("Content-Type", linesType)
	w.Header().Set("Cache-Control", "no-store")
	lines := bufio.NewWriterSize(w, linesBuffer)
	encoder := json.NewEncoder(lines)
	encoder.SetEscapeHTML(false)
	if err := a.config.Claims.EachClaim(c.Request.Context(), tenant, since, func(d events.ClaimData) error { return encoder.Encode(d) }); err != nil {
		return door.Unavailable(err)
	}
	if err := lines.Flush(); err != nil {
		return door.Unavailable(err)
	}
	return nil
}

// endedSince reads the time in the query, zero if there is none. There is nothing else in it.
func endedSince(c *door.Call) (since time.Time, err error) {
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return time.Time{}, door.Invalid("the query cannot be read: %s", err)
	}
	for name, values := range query {
		if name != "ended_since" || len(values) > 1 {
			return time.Time{}, door.Invalid("the query has %.50q: there is ended_since, once", name)
		}
		if since, err = time.Parse(time.RFC3339, values[0]); err != nil {
			return time.Time{}, door.Invalid("ended_since is %.50q, and must be a time as 2026-01-31T00:00:00Z", values[0])
		}
	}
	return since, nil
}
