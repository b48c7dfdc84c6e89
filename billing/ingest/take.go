package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// group is what a batch tells of one claim.
type group struct {
	entries []entry
	// sources are those of the entries, and Peer if a size was found that a peer has told.
	sources []ledger.Source
	// entered says that the claim was entered among those without a size.
	entered bool
	// claim is what is known of it after all was noted.
	claim ledger.Claim
}

// take counts what entries tell. The order of its writes is that of doc.go.
func (in *Ingest) take(ctx context.Context, entries []entry) error {
	if len(entries) == 0 {
		return nil
	}
	groups := make(map[ledger.Key]*group)
	told := make([]ledger.Told, len(entries))
	for i, e := range entries {
		g := groups[e.told.Key]
		if g == nil {
			g = &group{}
			groups[e.told.Key] = g
		}
		g.entries, g.sources, g.entered = append(g.entries, e), append(g.sources, e.told.Source), g.entered || e.told.Unsized
		told[i] = e.told
	}
	if err := in.store.Note(ctx, told); err != nil {
		return err
	}
	if err := in.enter(ctx, groups); err != nil {
		return err
	}
	if err := in.read(ctx, groups); err != nil {
		return err
	}
	if err := in.findSizes(ctx, groups); err != nil {
		return err
	}
	facts, aside, err := in.factsOf(ctx, groups)
	if err != nil {
		return err
	}
	if err := in.putAside(ctx, aside); err != nil {
		return err
	}
	if err := in.put(ctx, facts); err != nil {
		return err
	}
	return in.leave(ctx, groups)
}

// read reads what is known of the claims.
func (in *Ingest) read(ctx context.Context, groups map[ledger.Key]*group) error {
	keys := make([]ledger.Key, 0, len(groups))
	for k := range groups {
		keys = append(keys, k)
	}
	known, err := in.store.Claims(ctx, keys)
	if err != nil {
		return err
	}
	for k, g := range groups {
		c, ok := known[k]
		if !ok {
			return fmt.Errorf("the claim %q of %q is not there after it was noted", k.RequestID, k.Owner)
		}
		g.claim = c
	}
	return nil
}

// factsOf returns the facts that are to be written, and what is to be put aside.
func (in *Ingest) factsOf(ctx context.Context, groups map[ledger.Key]*group) ([]claim.Fact, []item, error) {
	var facts, past []claim.Fact
	var aside []item
	today := usage.DayOf(in.now().UnixMilli())
	for _, g := range groups {
		if columns := in.conflicts(g.claim); len(columns) > 0 {
			why := fmt.Errorf("the events of the request %q do not agree in %s", g.claim.RequestID, strings.Join(columns, " and "))
			aside = append(aside, g.aside(refused(claim.ReasonConflict, why))...)
			continue
		}
		fresh, err := in.fresh(g)
		if err != nil {
			aside = append(aside, g.aside(err)...)
			continue
		}
		for _, f := range fresh {
			if usage.DayOf(f.At) < today {
				past = append(past, f)
			} else {
				facts = append(facts, f)
			}
		}
	}
	missing, bad, err := in.missing(ctx, past)
	if err != nil {
		return nil, nil, err
	}
	for key, why := range bad {
		aside = append(aside, groups[key].aside(why)...)
	}
	// Of what a batch tells of a claim all is counted or nothing.
	facts = slices.DeleteFunc(append(facts, missing...), func(f claim.Fact) bool { return bad[keyOf(&f)] != nil })
	return facts, aside, nil
}

func keyOf(f *claim.Fact) ledger.Key { return ledger.Key{Owner: f.Owner, RequestID: f.RequestID} }

// fresh returns the facts of a claim that are not those of what others have told: others see to
// theirs.
func (in *Ingest) fresh(g *group) ([]claim.Fact, error) {
	after, err := claim.Facts(dataOf(g.claim), in.policy)
	if err != nil {
		return nil, err
	}
	others := g.claim
	for _, source := range g.sources {
		others = others.Without(source)
	}
	if len(others.Terms) == 0 {
		return after, nil
	}
	before, err := claim.Facts(dataOf(others), in.policy)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(after, func(f claim.Fact) bool {
		return slices.ContainsFunc(before, func(b claim.Fact) bool { return b.Delta.Equal(f.Delta) })
	}), nil
}

// conflicts returns the columns in which the claim says several things, of those that matter.
func (in *Ingest) conflicts(c ledger.Claim) []string {
	return slices.DeleteFunc(c.Conflicts(), func(column string) bool { return column == "pinned" && in.policy.Start != claim.StartPinned })
}

// aside are all entries, for one reason.
func (g *group) aside(why error) []item {
	out := make([]item, len(g.entries))
	for i, e := range g.entries {
		out[i] = item{why, e.told.Owner, e.payload, e.stored}
	}
	return out
}

// dataOf is what is known of a claim, as an event would tell it.
func dataOf(c ledger.Claim) events.ClaimData {
	d := c.Data()
	if d.Owner == claim.Suspense {
		d.Owner = ""
	}
	return d
}
