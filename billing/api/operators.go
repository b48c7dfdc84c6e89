package api

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// ownerView is an owner in a list.
type ownerView struct {
	Owner string `json:"owner"`
}

// owners answers with all owners, sorted.
func (a *API) owners(w http.ResponseWriter, c *call) error {
	if err := c.known("limit", "cursor", "format"); err != nil {
		return err
	}
	limit, err := c.limit(1000, 10_000)
	if err != nil {
		return err
	}
	after, err := c.cursor("owners", 1)
	if err != nil {
		return err
	}
	status, err := a.config.Status(c.Context())
	if err != nil {
		return err
	}
	var open []int64
	for day := usage.DayOf(status.ClosedUntil.UnixMilli()); day <= a.today(); day++ {
		open = append(open, day)
	}
	all, err := a.config.Ledger.Owners(c.Context(), open)
	if err != nil {
		return err
	}
	if after != nil {
		i, found := slices.BinarySearch(all, after[0])
		if found {
			i++
		}
		all = all[i:]
	}
	var p page[ownerView]
	for _, owner := range all[:min(limit, len(all))] {
		p.Items = append(p.Items, ownerView{owner})
	}
	if len(all) > limit {
		p.Next = cursorOf("owners", all[limit-1])
	}
	return list(a, w, c, p, []string{"owner"}, func(v ownerView) []any { return []any{v.Owner} })
}

// itemView is what was put aside, as it is answered.
type itemView struct {
	Day   string `json:"day"`
	ID    string `json:"id"`
	Why   string `json:"why"`
	Owner string `json:"owner,omitempty"`
	// Payload is what came, if that is text, and else PayloadBase64.
	Payload       string    `json:"payload,omitempty"`
	PayloadBase64 string    `json:"payload_base64,omitempty"`
	First         time.Time `json:"first"`
	Last          time.Time `json:"last,omitzero"`
	Times         int       `json:"times"`
	Resolved      string    `json:"resolved,omitempty"`
	ResolvedAt    time.Time `json:"resolved_at,omitzero"`
}

func viewOfItem(i ledger.Item) itemView {
	v := itemView{
		Day: dateOf(i.Day), ID: hex.EncodeToString(i.ID[:]), Why: i.Why, Owner: i.Owner, First: i.First, Last: i.Last, Times: i.Times,
		Resolved: i.Resolved, ResolvedAt: i.ResolvedAt,
	}
	if utf8.Valid(i.Payload) {
		v.Payload = string(i.Payload)
	} else {
		v.PayloadBase64 = base64.StdEncoding.EncodeToString(i.Payload)
	}
	return v
}

// errEnough ends a walk through a table.
var errEnough = errors.New("there are enough")

// quarantine answers with what was put aside on a day.
func (a *API) quarantine(w http.ResponseWriter, c *call) error {
	if err := c.known("day", "limit", "cursor", "format"); err != nil {
		return err
	}
	limit, err := c.limit(100, 1000)
	if err != nil {
		return err
	}
	day, err := c.day("day", a.today())
	if err != nil {
		return err
	}
	after, err := c.cursor("quarantine", 2)
	if err != nil {
		return err
	}
	if after != nil && after[0] != dateOf(day) {
		return errCursor()
	}
	var p page[itemView]
	begun := after == nil
	err = a.config.Ledger.EachQuarantined(c.Context(), day, func(i ledger.Item) error {
		v := viewOfItem(i)
		switch {
		case !begun:
			begun = v.ID == after[1]
			return nil
		case len(p.Items) == limit:
			p.Next = cursorOf("quarantine", v.Day, p.Items[limit-1].ID)
			return errEnough
		}
		p.Items = append(p.Items, v)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return list(a, w, c, p, []string{"day", "id", "why", "owner", "payload", "payload_base64", "first", "last", "times", "resolved", "resolved_at"},
		func(v itemView) []any {
			return []any{v.Day, v.ID, v.Why, v.Owner, v.Payload, v.PayloadBase64, v.First, v.Last, v.Times, v.Resolved, v.ResolvedAt}
		})
}

const (
	// maxBody bounds the body of a request, in bytes, and maxNote a note.
	maxBody = 64 << 10
	maxNote = 4096
)

// resolve notes what was done about something that was put aside.
func (a *API) resolve(w http.ResponseWriter, c *call) error {
	t, err := time.Parse(time.DateOnly, c.PathValue("day"))
	if err != nil {
		return missing("there is no such item")
	}
	day := usage.DayOf(t.UnixMilli())
	id, err := hex.DecodeString(c.PathValue("id"))
	if err != nil || len(id) != len(ledger.Item{}.ID) {
		return missing("there is no such item")
	}
	var body struct {
		Note string `json:"note"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, c.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil || !errors.Is(dec.Decode(&struct{}{}), io.EOF) {
		return invalid(`the body is not a JSON object with a note: send {"note": "what was done"}`)
	}
	if body.Note = strings.TrimSpace(body.Note); body.Note == "" || len(body.Note) > maxNote {
		return invalid("the note is empty or has more than %d bytes: say what was done", maxNote)
	}
	found := false
	err = a.config.Ledger.EachQuarantined(c.Context(), day, func(i ledger.Item) error {
		if found = string(i.ID[:]) == string(id); found {
			return errEnough
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return err
	case !found:
		return missing("there is no such item")
	}
	if err := a.config.Ledger.Resolve(c.Context(), day, [32]byte(id), body.Note); err != nil {
		return fmt.Errorf("noting what was done: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// unsizedView is a claim without a size.
type unsizedView struct {
	Cid       string `json:"cid"`
	Owner     string `json:"owner"`
	RequestID string `json:"request_id"`
}

// unsized answers with claims that may lack a size, the first ones that are found.
func (a *API) unsized(w http.ResponseWriter, c *call) error {
	if err := c.known("limit", "format"); err != nil {
		return err
	}
	limit, err := c.limit(100, 10_000)
	if err != nil {
		return err
	}
	var p page[unsizedView]
	err = a.config.Ledger.EachUnsizedOfAll(c.Context(), func(cid string, k ledger.Key) error {
		if len(p.Items) == limit {
			return errEnough
		}
		p.Items = append(p.Items, unsizedView{cid, k.Owner, k.RequestID})
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return list(a, w, c, p, []string{"cid", "owner", "request_id"}, func(v unsizedView) []any { return []any{v.Cid, v.Owner, v.RequestID} })
}

// status answers with how far billing is.
func (a *API) status(w http.ResponseWriter, c *call) error {
	if err := c.known(); err != nil {
		return err
	}
	status, err := a.config.Status(c.Context())
	if err != nil {
		return err
	}
	a.json(w, status)
	return nil
}
