package statetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func crudMutants() []mutant {
	return []mutant{
		{name: "Get wraps ErrNotFound", caught: "crud/missing", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, get: func(ctx context.Context, c api.Cid) (api.Pin, error) {
				p, err := s.Get(ctx, c)
				if err != nil {
					err = fmt.Errorf("get %s: %w", c, err)
				}
				return p, err
			}}
		})},
		{name: "Get returns a pin with ErrNotFound", caught: "crud/missing", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, get: func(ctx context.Context, c api.Cid) (api.Pin, error) {
				p, err := s.Get(ctx, c)
				p.Cid = c
				return p, err
			}}
		})},
		{name: "Has is always true", caught: "crud/missing", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, has: func(context.Context, api.Cid) (bool, error) { return true, nil }}
		})},
		{name: "Rm of a missing pin is an error", caught: "crud/missing", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, rm: func(ctx context.Context, c api.Cid) error {
				if _, err := s.Get(ctx, c); err != nil {
					return err
				}
				return s.Rm(ctx, c)
			}}
		})},
		{name: "Add does nothing", caught: "crud/add", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, add: func(context.Context, api.Pin) error { return nil }}
		})},
		{name: "Rm does nothing", caught: "crud/rm", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, rm: func(context.Context, api.Cid) error { return nil }}
		})},
		{name: "what was removed stays removed", caught: "crud/rm", suite: mutate(func(s state.Store) faulty {
			var removed sync.Map
			return faulty{Store: s,
				add: func(ctx context.Context, p api.Pin) error {
					if _, ok := removed.Load(p.Cid); ok {
						return nil
					}
					return s.Add(ctx, p)
				},
				rm: func(ctx context.Context, c api.Cid) error {
					removed.Store(c, true)
					return s.Rm(ctx, c)
				},
			}
		})},
		{name: "Add keeps the pin that is there", caught: "crud/replace", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, add: func(ctx context.Context, p api.Pin) error {
				if has, err := s.Has(ctx, p.Cid); has || err != nil {
					return err
				}
				return s.Add(ctx, p)
			}}
		})},
		{name: "Add merges metadata", caught: "crud/replace", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, add: func(ctx context.Context, p api.Pin) error {
				if old, err := s.Get(ctx, p.Cid); err == nil && len(old.Metadata) > 0 {
					maps.Copy(old.Metadata, p.Metadata)
					p.Metadata = old.Metadata
				}
				return s.Add(ctx, p)
			}}
		})},
		{name: "Add refuses another type", caught: "crud/replace", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, add: func(ctx context.Context, p api.Pin) error {
				if old, err := s.Get(ctx, p.Cid); err == nil && old.Type != p.Type {
					return errors.New("cannot change the type of a pin")
				}
				return s.Add(ctx, p)
			}}
		})},
		{name: "Add repairs text", caught: "crud/refused", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, add: func(ctx context.Context, p api.Pin) error {
				p.Name = strings.ToValidUTF8(p.Name, "?")
				return s.Add(ctx, p)
			}}
		})},
		{name: "Get hands out its own copy", caught: "crud/no aliasing", suite: mutate(func(s state.Store) faulty {
			var cache sync.Map
			return faulty{Store: s,
				get: func(ctx context.Context, c api.Cid) (api.Pin, error) {
					p, err := s.Get(ctx, c)
					if err != nil {
						return p, err
					}
					cached, _ := cache.LoadOrStore(c, p)
					return cached.(api.Pin), nil
				},
			}
		})},
	}
}

func listMutants() []mutant {
	return []mutant{
		{name: "List drops a pin", caught: "list/many/complete", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, list: func(ctx context.Context, out chan<- api.Pin) error {
				defer close(out)
				n := 0
				return forward(ctx, s, func(p api.Pin) bool { n++; return n == 7 || sendTo(ctx, out)(p) })
			}}
		})},
		{name: "List sends a pin twice", caught: "list/many/complete", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, list: func(ctx context.Context, out chan<- api.Pin) error {
				defer close(out)
				send := sendTo(ctx, out)
				n := 0
				return forward(ctx, s, func(p api.Pin) bool { n++; return send(p) && (n != 7 || send(p)) })
			}}
		})},
		{name: "List ends with the first page", caught: "list/many/complete", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, list: func(ctx context.Context, out chan<- api.Pin) error {
				defer close(out)
				n := 0
				return forward(ctx, s, func(p api.Pin) bool { n++; return n <= 1000 && sendTo(ctx, out)(p) })
			}}
		})},
		{name: "List leaves the channel open", caught: "list/empty", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, list: func(ctx context.Context, out chan<- api.Pin) error {
				return forward(ctx, s, sendTo(ctx, out))
			}}
		})},
		{name: "List leaves the channel open on error", caught: "list/many/cancelled before", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, list: func(ctx context.Context, out chan<- api.Pin) error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return s.List(ctx, out)
			}}
		})},
		{name: "List returns before it is done", caught: "list/few", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, list: func(ctx context.Context, out chan<- api.Pin) error {
				go func() {
					time.Sleep(20 * time.Millisecond) // to be late for sure
					_ = s.List(ctx, out)
				}()
				return nil
			}}
		})},
		{name: "List closes the channel twice", caught: "list/empty", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, list: func(ctx context.Context, out chan<- api.Pin) error {
				defer close(out)
				return s.List(ctx, out)
			}}
		})},
		{name: "List hides that it was cancelled", caught: "list/many/cancelled while reading", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, list: func(ctx context.Context, out chan<- api.Pin) error {
				_ = s.List(ctx, out)
				return nil
			}}
		})},
		{name: "List goes on when it is cancelled", caught: "list/many/cancelled while it waits", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, list: func(ctx context.Context, out chan<- api.Pin) error {
				return errors.Join(s.List(context.WithoutCancel(ctx), out), ctx.Err())
			}}
		})},
	}
}

// pinMutants lose one field each.
func pinMutants() []mutant {
	lost := map[string]func(*api.Pin){
		"type":          func(p *api.Pin) { p.Type = api.DataType },
		"depth":         func(p *api.Pin) { p.MaxDepth = -1 },
		"limited depth": func(p *api.Pin) { p.MaxDepth = min(p.MaxDepth, 1) },
		"reference":     func(p *api.Pin) { p.Reference = nil },
		"timestamp":     func(p *api.Pin) { p.Timestamp = time.Time{} },
		"allocation":    func(p *api.Pin) { p.Allocations = p.Allocations[:min(len(p.Allocations), 100)] },
		"duplicate":     func(p *api.Pin) { p.Allocations = slices.Compact(p.Allocations) },
		"order":         func(p *api.Pin) { slices.Sort(p.Allocations) },
		"factor min":    func(p *api.Pin) { p.ReplicationFactorMin = 0 },
		"factor max":    func(p *api.Pin) { p.ReplicationFactorMax = p.ReplicationFactorMin },
		"name":          func(p *api.Pin) { p.Name = strings.Trim(p.Name, "\x00") + "!" },
		"long name":     func(p *api.Pin) { p.Name = p.Name[:min(len(p.Name), 1000)] },
		"shard size":    func(p *api.Pin) { p.ShardSize = uint64(uint32(p.ShardSize)) },
		"expiry":        func(p *api.Pin) { p.ExpireAt = time.Time{} },
		"old expiry": func(p *api.Pin) {
			if p.ExpireAt.Unix() < 0 {
				p.ExpireAt = time.Time{}
			}
		},
		"metadata":   func(p *api.Pin) { p.Metadata = nil },
		"empty key":  func(p *api.Pin) { p.Metadata = maps.Clone(p.Metadata); delete(p.Metadata, "") },
		"pin update": func(p *api.Pin) { p.PinUpdate = api.CidUndef },
		"origins":    func(p *api.Pin) { p.Origins = p.Origins[:min(len(p.Origins), 1)] },
	}
	// Shown to the reader, but not stored. Round trip must notice these two
	// on its own, without comparing with dsstate.
	spelledOut := map[string]bool{"mode": true, "user allocations": true}
	shown := map[string]func(*api.Pin){
		"nil allocations": func(p *api.Pin) {
			if len(p.Allocations) == 0 {
				p.Allocations = nil
			}
		},
		"UTC":              func(p *api.Pin) { p.Timestamp = p.Timestamp.UTC() },
		"user allocations": func(p *api.Pin) { p.UserAllocations = p.Allocations },
		"mode":             func(p *api.Pin) { p.Mode = api.PinModeDirect },
	}
	var all []mutant
	for field, lose := range lost {
		all = append(all, mutant{name: "lost: " + field, caught: "pins/samples", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, add: func(ctx context.Context, p api.Pin) error {
				p.Allocations = slices.Clone(p.Allocations)
				lose(&p)
				return s.Add(ctx, p)
			}}
		})})
	}
	for field, change := range shown {
		caught := "pins/samples"
		if spelledOut[field] {
			caught = "pins/round trip"
		}
		all = append(all, mutant{name: "shown: " + field, caught: caught, suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, get: func(ctx context.Context, c api.Cid) (api.Pin, error) {
				p, err := s.Get(ctx, c)
				if err == nil {
					change(&p)
				}
				return p, err
			}}
		})})
	}
	return all
}

// cidMutants take similar CIDs for one.
func cidMutants() []mutant {
	keys := map[string]func(api.Cid) api.Cid{
		"version": func(c api.Cid) api.Cid { return api.NewCid(cid.NewCidV1(c.Type(), c.Hash())) },
		"codec": func(c api.Cid) api.Cid {
			if c.Version() == 0 {
				return c
			}
			return api.NewCid(cid.NewCidV1(cid.Raw, c.Hash()))
		},
	}
	var all []mutant
	for what, key := range keys {
		all = append(all, mutant{name: "CIDs without " + what, caught: "cids/distinct", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s,
				add: func(ctx context.Context, p api.Pin) error { p.Cid = key(p.Cid); return s.Add(ctx, p) },
				rm:  func(ctx context.Context, c api.Cid) error { return s.Rm(ctx, key(c)) },
				has: func(ctx context.Context, c api.Cid) (bool, error) { return s.Has(ctx, key(c)) },
				get: func(ctx context.Context, c api.Cid) (api.Pin, error) {
					p, err := s.Get(ctx, key(c))
					if err == nil {
						p.Cid = c
					}
					return p, err
				},
			}
		})})
	}
	return all
}
