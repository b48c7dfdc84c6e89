package statetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/ugorji/go/codec"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// marshalOther returns a store that marshals the records of s after change.
// A record without a key is left out.
func marshalOther(s state.Store, change func(*record, api.Pin)) faulty {
	return faulty{Store: s, marshal: func(w io.Writer) error {
		var b bytes.Buffer
		if err := s.Marshal(&b); err != nil {
			return err
		}
		enc := codec.NewEncoder(w, dsstate.DefaultHandle())
		return eachRecord(&b, func(r record, p api.Pin) error {
			change(&r, p)
			if r.Key == "" {
				return nil
			}
			return enc.Encode(r)
		})
	}}
}

func snapshotMutants() []mutant {
	return []mutant{
		{name: "Unmarshal clears the store first", caught: "snapshot/adds", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, unmarshal: func(r io.Reader) error {
				ctx := context.Background()
				err := forward(ctx, s, func(p api.Pin) bool { return s.Rm(ctx, p.Cid) == nil })
				return errors.Join(err, s.Unmarshal(r))
			}}
		})},
		{name: "Unmarshal keeps older pins", caught: "snapshot/adds", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, unmarshal: func(r io.Reader) error {
				return eachRecord(r, func(_ record, p api.Pin) error {
					if has, err := s.Has(context.Background(), p.Cid); has || err != nil {
						return err
					}
					return s.Add(context.Background(), p)
				})
			}}
		})},
		{name: "Unmarshal encodes anew", caught: "snapshot/old pins", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, unmarshal: func(r io.Reader) error {
				return eachRecord(r, func(_ record, p api.Pin) error { return s.Add(context.Background(), p) })
			}}
		})},
		{name: "Unmarshal refuses a slash", caught: "snapshot/old pins", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, unmarshal: func(r io.Reader) error {
				var read bytes.Buffer
				err := eachRecord(io.TeeReader(r, &read), func(rec record, _ api.Pin) error {
					if strings.HasPrefix(rec.Key, "/") {
						return errors.New("a key has a slash")
					}
					return nil
				})
				return errors.Join(err, s.Unmarshal(&read))
			}}
		})},
		{name: "Unmarshal takes junk for the end", caught: "snapshot/broken", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, unmarshal: func(r io.Reader) error {
				_ = s.Unmarshal(r)
				return nil
			}}
		})},
		{name: "Unmarshal reads one piece", caught: "snapshot/from upstream", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, unmarshal: func(r io.Reader) error {
				piece := make([]byte, 1<<20)
				n, err := r.Read(piece)
				if err != nil && !errors.Is(err, io.EOF) {
					return err
				}
				return s.Unmarshal(bytes.NewReader(piece[:n]))
			}}
		})},
		{name: "Marshal leaves a pin out", caught: "snapshot/to upstream", suite: mutate(func(s state.Store) faulty {
			return marshalOther(s, func(r *record, p api.Pin) {
				if p.Name == "every field" {
					r.Key = ""
				}
			})
		})},
		{name: "Marshal keeps the whole key", caught: "snapshot/to upstream", suite: mutate(func(s state.Store) faulty {
			return marshalOther(s, func(r *record, _ api.Pin) { r.Key = "/pins/" + r.Key })
		})},
		{name: "Marshal writes a header", caught: "snapshot/empty", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, marshal: func(w io.Writer) error {
				if _, err := w.Write([]byte{1}); err != nil {
					return err
				}
				return s.Marshal(w)
			}}
		})},
		{name: "Marshal ignores the writer", caught: "snapshot/broken writer", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, marshal: func(w io.Writer) error {
				_ = s.Marshal(w)
				return nil
			}}
		})},
		{name: "Migrate unmarshals", caught: "snapshot/migrate", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, migrate: func(_ context.Context, r io.Reader) error { return s.Unmarshal(r) }}
		})},
	}
}

func batchMutants() []mutant {
	type batchBug = func(b state.BatchingStore, committed state.Store) faultyBatching
	bug := func(name, caught string, f batchBug) mutant {
		return mutant{name: name, caught: caught, suite: mutateBatching(f)}
	}
	return []mutant{
		bug("batched Add is visible at once", "batch/waits for commit", func(b state.BatchingStore, c state.Store) faultyBatching {
			return faultyBatching{faulty{Store: b, add: c.Add}, b.Commit}
		}),
		bug("batched Rm is visible at once", "batch/waits for commit", func(b state.BatchingStore, c state.Store) faultyBatching {
			return faultyBatching{faulty{Store: b, rm: c.Rm}, b.Commit}
		}),
		bug("the batch shows its own writes", "batch/waits for commit", func(b state.BatchingStore, c state.Store) faultyBatching {
			var own sync.Map
			return faultyBatching{faulty{Store: b,
				add: func(ctx context.Context, p api.Pin) error {
					own.Store(p.Cid, p)
					return b.Add(ctx, p)
				},
				get: func(ctx context.Context, id api.Cid) (api.Pin, error) {
					if p, ok := own.Load(id); ok {
						return p.(api.Pin), nil
					}
					return c.Get(ctx, id)
				},
			}, b.Commit}
		}),
		bug("Commit of nothing is an error", "batch/waits for commit", func(b state.BatchingStore, _ state.Store) faultyBatching {
			var writes atomic.Int64
			return faultyBatching{
				faulty{Store: b, add: func(ctx context.Context, p api.Pin) error { writes.Add(1); return b.Add(ctx, p) }},
				func(ctx context.Context) error {
					if writes.Load() == 0 {
						return errors.New("nothing to commit")
					}
					return b.Commit(ctx)
				},
			}
		}),
		bug("only the first Commit writes", "batch/several commits", func(b state.BatchingStore, _ state.Store) faultyBatching {
			var once sync.Once
			return faultyBatching{faulty{Store: b}, func(ctx context.Context) (err error) {
				once.Do(func() { err = b.Commit(ctx) })
				return err
			}}
		}),
		bug("removals come last", "batch/order", func(b state.BatchingStore, _ state.Store) faultyBatching {
			var removed []api.Cid
			return faultyBatching{
				faulty{Store: b, rm: func(_ context.Context, id api.Cid) error {
					removed = append(removed, id)
					return nil
				}},
				func(ctx context.Context) error {
					for _, id := range removed {
						if err := b.Rm(ctx, id); err != nil {
							return err
						}
					}
					return b.Commit(ctx)
				},
			}
		}),
		bug("the first of two writes wins", "batch/order", func(b state.BatchingStore, _ state.Store) faultyBatching {
			var seen sync.Map
			return faultyBatching{faulty{Store: b, add: func(ctx context.Context, p api.Pin) error {
				if _, twice := seen.LoadOrStore(p.Cid, true); twice {
					return nil
				}
				return b.Add(ctx, p)
			}}, b.Commit}
		}),
		bug("Unmarshal does not wait", "batch/unmarshal", func(b state.BatchingStore, c state.Store) faultyBatching {
			return faultyBatching{faulty{Store: b, unmarshal: c.Unmarshal}, b.Commit}
		}),
		bug("a batch loses the origins", "batch/samples", func(b state.BatchingStore, _ state.Store) faultyBatching {
			return faultyBatching{faulty{Store: b, add: func(ctx context.Context, p api.Pin) error {
				p.Origins = nil
				return b.Add(ctx, p)
			}}, b.Commit}
		}),
		bug("a write during Commit is lost", "batch/concurrent", func(b state.BatchingStore, _ state.Store) faultyBatching {
			var committing atomic.Bool
			return faultyBatching{
				faulty{Store: b, add: func(ctx context.Context, p api.Pin) error {
					if committing.Load() {
						return nil
					}
					time.Sleep(time.Millisecond) // so that there are writes left during the Commit
					return b.Add(ctx, p)
				}},
				func(ctx context.Context) error {
					committing.Store(true)
					defer committing.Store(false)
					time.Sleep(5 * time.Millisecond)
					return b.Commit(ctx)
				},
			}
		}),
	}
}

func contextMutants() []mutant {
	return []mutant{
		{name: "a cancelled Get finds nothing", caught: "context/cancelled", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, get: func(ctx context.Context, c api.Cid) (api.Pin, error) {
				if ctx.Err() != nil {
					return api.Pin{}, state.ErrNotFound
				}
				return s.Get(ctx, c)
			}}
		})},
		{name: "a cancelled Has says no", caught: "context/cancelled", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, has: func(ctx context.Context, c api.Cid) (bool, error) {
				has, err := s.Has(ctx, c)
				return has && ctx.Err() == nil, err
			}}
		})},
		{name: "a cancelled Add says done", caught: "context/cancelled", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, add: func(ctx context.Context, p api.Pin) error {
				if ctx.Err() != nil {
					return nil
				}
				return s.Add(ctx, p)
			}}
		})},
		{name: "a cancelled Rm says done", caught: "context/cancelled", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, rm: func(ctx context.Context, c api.Cid) error {
				if ctx.Err() != nil {
					return nil
				}
				return s.Rm(ctx, c)
			}}
		})},
	}
}

// concurrencyMutants sleep to make sure that calls overlap. The last one needs
// a history rather than company.
func concurrencyMutants() []mutant {
	return []mutant{
		{name: "Add removes the old pin first", caught: "concurrency/one cid", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, add: func(ctx context.Context, p api.Pin) error {
				if err := s.Rm(ctx, p.Cid); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
				return s.Add(ctx, p)
			}}
		})},
		{name: "Add writes in two steps", caught: "concurrency/one cid", suite: mutate(func(s state.Store) faulty {
			return faulty{Store: s, add: func(ctx context.Context, p api.Pin) error {
				half := p
				half.Metadata = nil
				if err := s.Add(ctx, half); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
				return s.Add(ctx, p)
			}}
		})},
		{name: "Add is lost when another one runs", caught: "concurrency/distinct cids", suite: mutate(func(s state.Store) faulty {
			mu := new(sync.Mutex)
			return faulty{Store: s, add: func(ctx context.Context, p api.Pin) error {
				if !mu.TryLock() {
					return nil
				}
				defer mu.Unlock()
				time.Sleep(time.Millisecond)
				return s.Add(ctx, p)
			}}
		})},
		{name: "Add and Rm at once are an error", caught: "concurrency/add and rm", suite: mutate(func(s state.Store) faulty {
			mu := new(sync.Mutex)
			exclusive := func(f func() error) error {
				if !mu.TryLock() {
					return errors.New("somebody else is writing")
				}
				defer mu.Unlock()
				time.Sleep(time.Millisecond)
				return f()
			}
			return faulty{Store: s,
				add: func(ctx context.Context, p api.Pin) error { return exclusive(func() error { return s.Add(ctx, p) }) },
				rm:  func(ctx context.Context, c api.Cid) error { return exclusive(func() error { return s.Rm(ctx, c) }) },
			}
		})},
		{name: "Get may return an older pin", caught: "concurrency/one cid", suite: mutate(func(s state.Store) faulty {
			var older sync.Map
			return faulty{Store: s,
				add: func(ctx context.Context, p api.Pin) error {
					old, getErr := s.Get(ctx, p.Cid)
					time.Sleep(time.Millisecond)
					err := s.Add(ctx, p)
					if getErr == nil {
						older.Store(p.Cid, old)
					}
					return err
				},
				get: func(ctx context.Context, c api.Cid) (api.Pin, error) {
					if old, ok := older.Load(c); ok && rand.IntN(2) == 0 {
						return old.(api.Pin), nil
					}
					return s.Get(ctx, c)
				},
			}
		})},
		{name: "every fortieth Add is lost", caught: "model/histories", suite: mutate(func(s state.Store) faulty {
			var n atomic.Int64
			return faulty{Store: s, add: func(ctx context.Context, p api.Pin) error {
				if n.Add(1)%40 == 0 {
					return nil
				}
				return s.Add(ctx, p)
			}}
		})},
	}
}
