package limits

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func newQueue(t *testing.T, perTenant, total int) *Queue[string] {
	t.Helper()
	q, err := NewQueue[string](perTenant, total)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// pop pops what waits, as tenant/item.
func pop(t *testing.T, q *Queue[string]) string {
	t.Helper()
	if q.Len() == 0 {
		t.Fatal("nothing waits")
	}
	tenant, item, err := q.Pop(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tenant + "/" + item
}

func TestQueueIsInTurn(t *testing.T) {
	q := newQueue(t, 10, 100)
	for _, p := range [][2]string{{"a", "1"}, {"a", "2"}, {"a", "3"}, {"b", "1"}, {"c", "1"}, {"c", "2"}} {
		if !q.Push(p[0], p[1]) {
			t.Fatalf("%v was not put in", p)
		}
	}
	var got []string
	for q.Len() > 0 {
		got = append(got, pop(t, q))
		if len(got) == 3 { // behind those who wait
			q.Push("b", "2")
		}
	}
	if want := []string{"a/1", "b/1", "c/1", "a/2", "c/2", "b/2", "a/3"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A tenant with one item waits for one of each other, however many these have.
func TestQueueManyItemsOfOthersAreNotWaitedFor(t *testing.T) {
	q := newQueue(t, 10_000, 20_000)
	for i := range 10_000 {
		if !q.Push("many", fmt.Sprint(i)) {
			t.Fatalf("item %d was not put in", i)
		}
	}
	for round := range 3 {
		q.Push("one", "item")
		if first, second := pop(t, q), pop(t, q); first != "one/item" && second != "one/item" {
			t.Errorf("round %d has %s and %s first", round, first, second)
		}
	}
}

func TestQueueIsBounded(t *testing.T) {
	q := newQueue(t, 2, 3)
	for i, push := range []struct {
		tenant, item string
		want         bool
	}{
		{"a", "1", true}, {"a", "2", true}, {"a", "3", false}, {"b", "1", true}, {"b", "2", false}, {"c", "1", false},
		{"a", "1", true}, {"b", "1", true}, // wait already
	} {
		if got := q.Push(push.tenant, push.item); got != push.want {
			t.Errorf("push %d of %v: %v", i, push, got)
		}
	}
	if q.Len() != 3 {
		t.Errorf("%d wait", q.Len())
	}
	pop(t, q)
	if !q.Push("c", "1") || q.Push("c", "2") {
		t.Error("there is one place")
	}
}

// An item that waits is not put in again, one that was popped is, and the same item of
// another tenant waits for that tenant's turn.
func TestQueueHasAnItemOnce(t *testing.T) {
	q := newQueue(t, 10, 100)
	for range 3 {
		q.Push("a", "1")
	}
	q.Push("b", "1")
	if q.Len() != 2 {
		t.Errorf("%d wait", q.Len())
	}
	pop(t, q)
	q.Push("a", "1")
	if first, second := pop(t, q), pop(t, q); first != "b/1" || second != "a/1" || q.Len() != 0 {
		t.Error(first, second, q.Len())
	}
	q.Push("a", "1")
	q.Push("a", "2")
	pop(t, q)
	q.Push("a", "1") // behind the other one
	if first, second := pop(t, q), pop(t, q); first != "a/2" || second != "a/1" {
		t.Error(first, second)
	}
}

func TestQueuePopWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 10, 100)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			time.Sleep(time.Second)
			q.Push("a", "1")
		}()
		if tenant, item, err := q.Pop(ctx); tenant != "a" || item != "1" || err != nil {
			t.Error(tenant, item, err)
		}
		if _, _, err := q.Pop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		q.Push("a", "2")
		if _, _, err := q.Pop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error("it pops under a context that has ended:", err)
		}
		if got := pop(t, q); got != "a/2" {
			t.Error(got)
		}
	})
}

// All that was put in comes out once, whoever pops.
func TestQueueLosesNothing(t *testing.T) {
	const tenants, items = 8, 500
	q := newQueue(t, items, tenants*items)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	got := make(map[string]int)
	var poppers, pushers sync.WaitGroup
	for range 4 {
		poppers.Go(func() {
			for {
				tenant, item, err := q.Pop(ctx)
				if err != nil {
					return
				}
				mu.Lock()
				if got[tenant+"/"+item]++; len(got) == tenants*items {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for tenant := range tenants {
		pushers.Go(func() {
			for i := range items {
				if !q.Push(fmt.Sprint(tenant), fmt.Sprint(i)) {
					t.Errorf("item %d of tenant %d was not put in", i, tenant)
				}
			}
		})
	}
	pushers.Wait()
	poppers.Wait()
	for what, n := range got {
		if n != 1 {
			t.Errorf("%s came %d times", what, n)
		}
	}
	if q.Len() != 0 || len(q.lines) != 0 || len(q.turns) != 0 {
		t.Errorf("%d items, %d lines and %d turns are left", q.Len(), len(q.lines), len(q.turns))
	}
}

func TestQueueWithoutBounds(t *testing.T) {
	for _, bounds := range [][2]int{{0, 1}, {-1, 5}, {2, 1}} {
		if _, err := NewQueue[int](bounds[0], bounds[1]); err == nil {
			t.Errorf("%v was accepted", bounds)
		}
	}
}
