package statetest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// register is a store with compare-and-set, made of upstream's store in memory
// and a revision for each CID. Its bugs are those of a store on a database.
type register struct {
	state.Store
	mu   sync.Mutex
	revs map[api.Cid]int
	bugs registerBugs
}

type registerBugs struct {
	overwrite  bool // writes whatever the revision is
	byValue    bool // compares pins instead of revisions
	forget     bool // the revision of a removed pin is gone
	markerSeen bool // what is left of a removed pin is taken for a pin
	giveUp     bool // a conflict is an error
	dropNil    bool // nil leaves the pin alone
	wrap       bool // the error of the function is wrapped
	anyCid     bool // stores the pin of another CID
}

func newRegister(tb testing.TB, bugs registerBugs) UpdatingStore {
	tb.Helper()
	return &register{Store: upstreamSuite().New(tb), revs: make(map[api.Cid]int), bugs: bugs}
}

func (r *register) Add(ctx context.Context, p api.Pin) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.revs[p.Cid]++
	return r.Store.Add(ctx, p)
}

func (r *register) Rm(ctx context.Context, c api.Cid) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.remove(ctx, c)
}

func (r *register) remove(ctx context.Context, c api.Cid) error {
	r.revs[c]++
	if r.bugs.forget {
		delete(r.revs, c)
	}
	return r.Store.Rm(ctx, c)
}

// read returns the pin of c, nil when there is none, and its revision.
func (r *register) read(ctx context.Context, c api.Cid) (*api.Pin, int, error) {
	p, err := r.Store.Get(ctx, c)
	switch {
	case err == nil:
		return &p, r.revs[c], nil
	case errors.Is(err, state.ErrNotFound) && r.bugs.markerSeen && r.revs[c] > 0:
		return &api.Pin{Cid: c}, r.revs[c], nil
	case errors.Is(err, state.ErrNotFound):
		return nil, r.revs[c], nil
	}
	return nil, 0, err
}

func (r *register) Update(ctx context.Context, c api.Cid, f func(*api.Pin) (*api.Pin, error)) error {
	if !c.Defined() {
		return errors.New("undefined CID")
	}
	for {
		r.mu.Lock()
		current, rev, err := r.read(ctx, c)
		r.mu.Unlock()
		if err != nil {
			return err
		}
		next, err := f(current)
		switch {
		case err != nil && r.bugs.wrap:
			return errors.Join(errors.New("update"), err)
		case err != nil:
			return err
		case next != nil && next.Cid != c && !r.bugs.anyCid:
			return errors.New("another CID")
		case next == nil && (current == nil || r.bugs.dropNil):
			return nil
		}
		if done, err := r.swap(ctx, c, current, rev, next); done || err != nil {
			return err
		}
		if r.bugs.giveUp {
			return errors.New("conflict")
		}
	}
}

// swap writes next if nobody wrote since current was read.
func (r *register) swap(ctx context.Context, c api.Cid, current *api.Pin, rev int, next *api.Pin) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, nowRev, err := r.read(ctx, c)
	if err != nil {
		return false, err
	}
	same := rev == nowRev
	if r.bugs.byValue {
		same = reflect.DeepEqual(current, now)
	}
	if !same && !r.bugs.overwrite {
		return false, nil
	}
	if next == nil {
		return true, r.remove(ctx, c)
	}
	r.revs[c]++
	return true, r.Store.Add(ctx, *next)
}

// updaterMutants are registers with one bug each.
func updaterMutants() []mutant {
	bug := func(name, caught string, bugs registerBugs) mutant {
		return mutant{name: name, caught: "updater/" + caught, updater: func(tb testing.TB) UpdatingStore { return newRegister(tb, bugs) }}
	}
	return []mutant{
		bug("Update overwrites a newer revision", "overtaken", registerBugs{overwrite: true}),
		bug("Updates at once are lost", "counter", registerBugs{overwrite: true}),
		bug("Update compares values: ABA", "overtaken", registerBugs{byValue: true}),
		bug("Update after an unpin in between: ABA", "overtaken", registerBugs{forget: true}),
		bug("Update takes a marker for a pin", "removed is absent", registerBugs{markerSeen: true}),
		bug("Update gives up at a conflict", "overtaken", registerBugs{giveUp: true}),
		bug("Update does not remove", "create replace remove", registerBugs{dropNil: true}),
		bug("Update wraps a refusal", "refusal", registerBugs{wrap: true}),
		bug("Update stores any CID", "another cid", registerBugs{anyCid: true}),
	}
}
