package statetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// list runs List, calls onPin for each pin as it comes, and returns the error
// of List. It fails t if List breaks the rules of its channel.
func list(ctx context.Context, t tester, s state.Store, onPin func(api.Pin)) error {
	t.Helper()
	err, broken := follow(ctx, s, onPin)
	if broken != nil {
		t.Fatalf("%v", broken)
	}
	return err
}

// follow is list for goroutines, which may not end a test. It returns the
// error of List, and which rule List broke: the channel is closed once, no
// later than List returns, and List does not hang.
func follow(ctx context.Context, s state.Store, onPin func(api.Pin)) (err, broken error) {
	out := make(chan api.Pin)
	returned := startList(ctx, s, out)
	stuck := time.NewTimer(patience)
	defer stuck.Stop()
	closed := false
	for {
		select {
		case pin, open := <-out:
			if open {
				onPin(pin)
				stuck.Reset(patience)
				continue
			}
			closed, out = true, nil // nil: wait for the return only
		case r := <-returned:
			if r.panicked == nil && !closed && !isClosed(out) {
				return r.err, fmt.Errorf("list returned (error %w) and left the channel open", r.err)
			}
			return r.err, r.broken()
		case <-stuck.C:
			return nil, fmt.Errorf("list sent nothing and did not return for %v", patience)
		}
	}
}

// listed is how a call of List ended.
type listed struct {
	err      error
	panicked any
}

func (r listed) broken() error {
	if r.panicked == nil {
		return nil
	}
	return fmt.Errorf("list panicked: %v", r.panicked)
}

// startList runs List in the background. It catches a panic, which is what
// closing a channel twice ends in, so that the suite can name it.
func startList(ctx context.Context, s state.Store, out chan<- api.Pin) <-chan listed {
	returned := make(chan listed, 1)
	go func() {
		var r listed
		defer func() {
			r.panicked = recover()
			returned <- r
		}()
		r.err = s.List(ctx, out)
	}()
	return returned
}

// wait returns the error of the List behind returned.
func wait(t tester, returned <-chan listed) error {
	t.Helper()
	select {
	case r := <-returned:
		if err := r.broken(); err != nil {
			t.Fatalf("%v", err)
		}
		return r.err
	case <-time.After(patience):
		t.Fatalf("List did not return within %v", patience)
		return errors.New("unreachable")
	}
}

// read takes up to n pins from out. It returns the number it got before out
// was closed.
func read(t tester, out <-chan api.Pin, n int) int {
	t.Helper()
	stuck := time.NewTimer(patience)
	defer stuck.Stop()
	for got := range n {
		select {
		case _, open := <-out:
			if !open {
				return got
			}
			stuck.Reset(patience)
		case <-stuck.C:
			t.Fatalf("List neither sent a pin nor closed its channel for %v", patience)
		}
	}
	return n
}

// isClosed reports whether out is closed and drained, without waiting.
func isClosed(out <-chan api.Pin) bool {
	select {
	case _, open := <-out:
		return !open
	default:
		return false
	}
}
