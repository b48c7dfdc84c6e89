package authz

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Source has an operator's own policies, complete or not at all.
type Source interface {
	Read() ([]File, error)
}

// Options of an Authorizer.
type Options struct {
	// Own are policies beside the embedded ones. Nil means none.
	Own Source
	// WithoutRoles leaves out the embedded roles: Own says who may do what. The guards
	// remain.
	WithoutRoles bool
}

// Authorizer decides by the newest good set.
type Authorizer struct {
	options Options
	set     atomic.Pointer[Set]

	mu      sync.Mutex // of Reload
	refused string     // the error that the last Reload returned
}

// New reads the policies. There is no Authorizer without a good set.
func New(options Options) (*Authorizer, error) {
	a := &Authorizer{options: options}
	set, err := a.read()
	if err != nil {
		return nil, err
	}
	a.set.Store(set)
	return a, nil
}

// Set returns the set that decides now.
func (a *Authorizer) Set() *Set { return a.set.Load() }

// Decide answers a request by the set that decides now.
func (a *Authorizer) Decide(r Request) Decision { return a.set.Load().Decide(r) }

// Explain explains the answer of the set that decides now.
func (a *Authorizer) Explain(r Request) Explanation { return a.set.Load().Explain(r) }

// Reload reads the policies again and takes them if they are good and others than
// before. Else the last good set stays. It tells whether a set was taken, and an error
// only if it is another than the last time.
func (a *Authorizer) Reload() (taken bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	set, err := a.read()
	if err != nil {
		if err.Error() == a.refused {
			return false, nil
		}
		a.refused = err.Error()
		return false, fmt.Errorf("the policies stay as they were: %w", err)
	}
	a.refused = ""
	if set == nil {
		return false, nil
	}
	a.set.Store(set)
	return true, nil
}

// read returns the set of what there is now, nil if it is the one that decides.
func (a *Authorizer) read() (*Set, error) {
	var own []File
	if a.options.Own != nil {
		var err error
		if own, err = a.options.Own.Read(); err != nil {
			return nil, err
		}
	}
	if now := a.set.Load(); now != nil {
		files, err := embeddedFiles(a.options.WithoutRoles)
		if err != nil {
			return nil, err
		}
		if hash(append(files, own...)) == now.version {
			return nil, nil
		}
	}
	return NewSet(own, a.options.WithoutRoles)
}

// Watch reloads each interval until ctx ends, and calls changed with what came of it
// when something did. It reads the files themselves, which are small: what is newer by
// time is not always other, nor the reverse.
func (a *Authorizer) Watch(ctx context.Context, interval time.Duration, changed func(version string, err error)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if taken, err := a.Reload(); taken || err != nil {
				changed(a.Set().Version(), err)
			}
		}
	}
}
