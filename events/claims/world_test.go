package claims_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long tests wait for what must come.
const patience = 5 * time.Minute

// ackWait is the AckWait of their consumers.
const ackWait = 3 * time.Second

var errRefused = errors.New("the handler does not want to")

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// connect returns a Bus that is closed with the test.
func connect(tb testing.TB, cluster *natstest.Cluster) *bus.Bus {
	tb.Helper()
	return connectAs(tb, cluster, "")
}

// connectAs is connect as a user, whose password is p.
func connectAs(tb testing.TB, cluster *natstest.Cluster, user string) *bus.Bus {
	tb.Helper()
	urls := cluster.URLs()
	for i := range urls {
		if user != "" {
			urls[i] = strings.Replace(urls[i], "nats://", "nats://"+user+":p@", 1)
		}
	}
	b, err := bus.Connect(bus.Config{URLs: urls, Cluster: "test", Name: tb.Name()})
	must(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(tb, b.Close(ctx))
	})
	return b
}

// eventually waits until f says nothing, and tells what it says if that takes too long.
func eventually(tb testing.TB, f func() string) {
	tb.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		said := f()
		if said == "" {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("after %s: %s", patience, said)
		}
	}
}

// added are the events of claims from one number to another, in whole.
func added(from, to int) []events.Event {
	var all []events.Event
	for n := from; n < to; n++ {
		all = append(all, events.ClaimEvent(events.Source("test"), events.ClaimAdded, events.ClaimData{
			Cid: fmt.Sprint("cid", n), Owner: "acme", RequestID: fmt.Sprint("request", n), Accepted: time.UnixMilli(1_700_000_000_000), Replicas: n,
		}))
	}
	return all
}

// ledger is what a handler makes of claims, idempotently.
type ledger struct {
	mu    sync.Mutex
	has   map[string]string // the data of events, by id
	bad   []claims.Delivery
	again int // deliveries that were not the first
	calls int
	// refuse, if set, decides on the error of a call.
	refuse func(batch []claims.Delivery) error
}

func (l *ledger) handle(_ context.Context, batch []claims.Delivery) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	for _, d := range batch {
		if d.Delivered > 1 {
			l.again++
		}
	}
	if l.refuse != nil {
		if err := l.refuse(batch); err != nil {
			return err
		}
	}
	for _, d := range batch {
		if d.Err != nil {
			l.bad = append(l.bad, d)
			continue
		}
		if l.has == nil {
			l.has = make(map[string]string)
		}
		l.has[d.Event.ID()] = string(d.Data)
	}
	return nil
}

// lacks says what of the events the ledger has not, or has otherwise.
func (l *ledger) lacks(all []events.Event) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.has) != len(all) {
		return fmt.Sprintf("it has %d events of %d", len(l.has), len(all))
	}
	for _, e := range all {
		if want, err := e.Encode(); err != nil || l.has[e.ID()] != string(want) {
			return fmt.Sprintf("%s is %s, want %s", e.ID(), l.has[e.ID()], want)
		}
	}
	return ""
}

// consumer is one that runs.
type consumer struct {
	*claims.Consumer
	ended chan error
	stop  func()
}

// start runs a consumer until stop is called, at the end of the test at the latest.
func start(tb testing.TB, b *bus.Bus, name string, handle func(context.Context, []claims.Delivery) error, change ...func(*claims.Options)) *consumer {
	tb.Helper()
	opts := claims.Options{Bus: b, Name: name, Handler: handle, AckWait: ackWait}
	for _, f := range change {
		f(&opts)
	}
	c, err := claims.New(opts)
	must(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	one := &consumer{Consumer: c, ended: make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		one.ended <- c.Run(ctx)
		close(done)
	}()
	one.stop = func() {
		cancel()
		<-done
	}
	tb.Cleanup(one.stop)
	return one
}

// idle waits until everything is acknowledged.
func idle(tb testing.TB, c *consumer) {
	tb.Helper()
	eventually(tb, func() string {
		lag, err := c.Lag(tb.Context())
		if err != nil || lag != (claims.Lag{}) {
			return fmt.Sprintf("the lag is %+v, %v", lag, err)
		}
		return ""
	})
}
