package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Source says what kind of event has said something of a claim. Sources are stored: they are
// never changed.
type Source int

// The sources, in the order in which facts come about.
const (
	Added Source = iota + 1
	Pinned
	Sized
	Removed
	// Peer is a peer that has told a size of the CID.
	Peer
)

// SourceOf returns the source of a type of event, and false if it is none of claims.
func SourceOf(t events.Type) (Source, bool) {
	i := slices.Index([]events.Type{events.ClaimAdded, events.ClaimPinned, events.ClaimSized, events.ClaimRemoved}, t)
	return Source(i) + Added, i >= 0
}

// Terms are what never changes in a claim.
type Terms struct {
	Cid      string `json:"cid"`
	Accepted int64  `json:"accepted"` // ms
	Replicas int    `json:"replicas"`
}

// Told is what one event tells of a claim. What is zero it does not tell.
type Told struct {
	Key
	Source Source
	Name   string
	Terms  Terms
	// Pinned and Removed are in milliseconds since 1970, Size is in bytes.
	Pinned, Removed, Size int64
	// Unsized says that the claim is entered among those without a size.
	Unsized bool
}

// ToldBy returns what an event tells.
func ToldBy(source Source, d *events.ClaimData) Told {
	return Told{
		Key: Key{d.Owner, d.RequestID}, Source: source, Name: d.Name,
		Terms:  Terms{Cid: d.Cid, Accepted: milliseconds(d.Accepted), Replicas: d.Replicas},
		Pinned: milliseconds(d.Pinned), Removed: milliseconds(d.Removed), Size: d.Size,
	}
}

// milliseconds is 0 for no time.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Claim is what is known of a claim: of each thing all that was said, and the lowest source
// that has said it.
type Claim struct {
	Key
	Name                   string
	Terms                  map[Terms]Source
	Pinned, Removed, Sizes map[int64]Source
	// Unsized says that it may be among those without a size.
	Unsized bool
}

// Data returns the claim as an event would tell it. Of several values it takes the lowest:
// see Conflicts. The version is empty.
func (c Claim) Data() events.ClaimData {
	d := events.ClaimData{Owner: c.Owner, RequestID: c.RequestID, Name: c.Name}
	if len(c.Terms) > 0 {
		t := slices.MinFunc(slices.Collect(maps.Keys(c.Terms)), compareTerms)
		d.Cid, d.Accepted, d.Replicas = t.Cid, timeOf(t.Accepted), t.Replicas
	}
	if at, ok := lowest(c.Pinned); ok {
		d.Pinned = timeOf(at)
	}
	if at, ok := lowest(c.Removed); ok {
		d.Removed = timeOf(at)
	}
	d.Size, _ = lowest(c.Sizes)
	return d
}

// Conflicts returns the columns in which different events have said different things.
func (c Claim) Conflicts() []string {
	var out []string
	for _, column := range []struct {
		name string
		n    int
	}{{"terms", len(c.Terms)}, {"pinned", len(c.Pinned)}, {"removed", len(c.Removed)}, {"sizes", len(c.Sizes)}} {
		if column.n > 1 {
			out = append(out, column.name)
		}
	}
	return out
}

// Without returns the claim as it is without what the source was the lowest to say.
func (c Claim) Without(source Source) Claim {
	c.Terms, c.Pinned, c.Removed, c.Sizes = without(c.Terms, source), without(c.Pinned, source), without(c.Removed, source), without(c.Sizes, source)
	return c
}

func without[K comparable](said map[K]Source, source Source) map[K]Source {
	said = maps.Clone(said)
	maps.DeleteFunc(said, func(_ K, by Source) bool { return by == source })
	return said
}

func lowest(said map[int64]Source) (int64, bool) {
	if len(said) == 0 {
		return 0, false
	}
	return slices.Min(slices.Collect(maps.Keys(said))), true
}

func compareTerms(a, b Terms) int {
	return cmp.Or(cmp.Compare(a.Accepted, b.Accepted), cmp.Compare(a.Cid, b.Cid), cmp.Compare(a.Replicas, b.Replicas))
}

// Note adds what events tell to what is known of their claims. It takes nothing away, and may be
// done any number of times in any order. When it returns, Claims of every process shows it.
func (s *Store) Note(ctx context.Context, all []Told) error {
	b := make(batches)
	for i := range all {
		statement, err := all[i].statement()
		if err != nil {
			return fmt.Errorf("noting the claim %q of %q: %w", all[i].RequestID, all[i].Owner, err)
		}
		b.add(all[i].partition(), statement)
	}
	return wrap(s.write(ctx, b), "noting claims")
}

// statement adds to the maps of the row. Of two sources that say the same the lower one is
// kept, as its timestamp is the higher.
func (t *Told) statement() (scylla.Statement, error) {
	terms := any(gocql.UnsetValue)
	if t.Terms != (Terms{}) {
		text, err := json.Marshal(t.Terms)
		if err != nil {
			return scylla.Statement{}, err
		}
		terms = map[string]int{string(text): int(t.Source)}
	}
	name, unsized := any(gocql.UnsetValue), any(gocql.UnsetValue)
	if t.Name != "" {
		name = t.Name
	}
	if t.Unsized {
		unsized = true
	}
	p := t.partition()
	return scylla.Bind(updateClaim, firstOnly-int64(t.Source), name, terms, t.said(t.Pinned), t.said(t.Removed), t.said(t.Size), unsized,
		p.owner, p.bucket, t.RequestID), nil
}

func (t *Told) said(value int64) any {
	if value == 0 {
		return gocql.UnsetValue
	}
	return map[int64]int{value: int(t.Source)}
}

// Claims returns what is known of claims. One of which nothing is known is not among them.
func (s *Store) Claims(ctx context.Context, keys []Key) (map[Key]Claim, error) {
	byPartition := make(map[claimPartition][]string)
	for _, k := range keys {
		p := k.partition()
		byPartition[p] = append(byPartition[p], k.RequestID)
	}
	type question struct {
		claimPartition
		ids []string
	}
	var questions []question
	for p, ids := range byPartition {
		slices.Sort(ids)
		for _, some := range chunks(slices.Compact(ids), maxIn) {
			questions = append(questions, question{p, some})
		}
	}
	found := make(chan Claim, len(keys))
	err := each(ctx, questions, func(ctx context.Context, q question) error {
		return s.claims(ctx, q.claimPartition, q.ids, found)
	})
	if err != nil {
		return nil, fmt.Errorf("reading claims: %w", err)
	}
	close(found)
	out := make(map[Key]Claim, len(keys))
	for c := range found {
		out[c.Key] = c
	}
	return out, nil
}

func (s *Store) claims(ctx context.Context, p claimPartition, ids []string, to chan<- Claim) error {
	rows := s.db.Rows(ctx, gocql.Quorum, maxIn, scylla.Bind(selectClaims, p.owner, p.bucket, ids))
	return eachClaim(rows, p.owner, func(c Claim) error {
		to <- c
		return nil
	})
}

// eachClaim calls f with each claim of rows, and closes them.
func eachClaim(rows *scylla.Rows, owner string, f func(Claim) error) error {
	defer rows.Close()
	for {
		c := Claim{Key: Key{Owner: owner}}
		var terms map[string]Source
		if !rows.Next(&c.RequestID, &c.Name, &terms, &c.Pinned, &c.Removed, &c.Sizes, &c.Unsized) {
			return rows.Close()
		}
		c.Terms = make(map[Terms]Source, len(terms))
		for text, by := range terms {
			var t Terms
			if err := json.Unmarshal([]byte(text), &t); err != nil {
				return fmt.Errorf("the terms of %q of %q as they are stored: %w", c.RequestID, c.Owner, err)
			}
			c.Terms[t] = by
		}
		if err := f(c); err != nil {
			return err
		}
	}
}
