package pins

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// TestForeignPin: a pin that somebody else has made serves claims, and is neither replaced
// nor removed. Once it is gone, the gateway makes one.
func TestForeignPin(t *testing.T) {
	db, c, p := openDB(t), newClock(), newLateFakePeer()
	ready(t, db, c)
	s := newInstance(db, c, 0)
	w := NewWorker(s, p, WorkerConfig{DefaultMin: 2, DefaultMax: 3})
	p.set(testCID(1), fakePin{status: Pinned, size: 5})
	made := create(t, s, newRequest("t1", 1))
	c.add(time.Second)
	do := func() {
		t.Helper()
		if err := w.do(t.Context(), mustPop(t.Context(), s)); err != nil {
			t.Fatal(err)
		}
	}
	do()
	if r, err := s.Get(t.Context(), "t1", made.ID); err != nil || r.Status != Pinned || r.Size != 5 || len(r.Delegates) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := s.Remove(t.Context(), "t1", made.ID); err != nil {
		t.Fatal(err)
	}
	do()
	c.add(10 * time.Minute)
	passAll(t, w)
	if pin, ok := p.has(testCID(1)); !ok || pin.ours || p.pinned[testCID(1)] != 0 || p.unpinned[testCID(1)] != 0 {
		t.Errorf("%+v, %v", pin, p)
	}
	create(t, s, newRequest("t1", 1))
	do()
	p.remove(testCID(1)) // by whoever made it
	w.Touch(testCID(1))
	some, _ := w.polls.take(time.Now(), 10)
	w.look(t.Context(), some)
	do()
	if pin, ok := p.has(testCID(1)); !ok || !pin.ours {
		t.Errorf("a claimed CID is not pinned any more: %+v", pin)
	}
}

// TestForeignPinGoes: somebody else's pin is looked at again while it is claimed, at the
// latest an hour later, without events.
func TestForeignPinGoes(t *testing.T) {
	db, c, p := openDB(t), newClock(), newLateFakePeer()
	ready(t, db, c)
	s := newInstance(db, c, 0)
	w := NewWorker(s, p, WorkerConfig{})
	p.set(testCID(1), fakePin{status: Pinned})
	create(t, s, newRequest("t1", 1))
	for range 10 {
		c.add(70 * time.Minute)
		passAll(t, w)
	}
	p.remove(testCID(1))
	c.add(70 * time.Minute)
	passAll(t, w)
	if pin, ok := p.has(testCID(1)); !ok || !pin.ours {
		t.Errorf("a claimed CID is not pinned any more: %+v", pin)
	}
}

// TestVerify: pins that somebody has removed are made again, and a request that has failed
// says that it is pinned now.
func TestVerify(t *testing.T) {
	const cids = MaxStatus + 50
	db, c, p := openDB(t), newClock(), newLateFakePeer()
	s := newInstance(db, c, 0)
	w := NewWorker(s, p, WorkerConfig{})
	for n := range cids {
		create(t, s, newRequest("t1", n))
		c.add(time.Second)
		if err := w.do(t.Context(), mustPop(t.Context(), s)); err != nil {
			t.Fatal(err)
		}
	}
	failed := create(t, s, newRequest("t1", cids))
	c.add(time.Second)
	p.set(testCID(cids), fakePin{ours: true, status: Failed})
	if err := w.do(t.Context(), mustPop(t.Context(), s)); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Get(t.Context(), "t1", failed.ID); err != nil || r.Status != Failed {
		t.Fatalf("%+v, %v", r, err)
	}
	c.add(time.Second)
	p.set(testCID(cids), fakePin{ours: true, status: Pinned})
	for n := range 3 {
		p.remove(testCID(n * 60))
	}
	asked := p.asked
	if err := w.Verify(t.Context(), "t1"); err != nil {
		t.Fatal(err)
	}
	if p.asked != asked+2 {
		t.Errorf("asked %d times for %d CIDs", p.asked-asked, cids+1)
	}
	for s.queue.len() > 0 {
		if err := w.do(t.Context(), mustPop(t.Context(), s)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range cids {
		if _, ok := p.has(testCID(n)); !ok {
			t.Errorf("the CID %d is not pinned", n)
		}
	}
	if r, err := s.Get(t.Context(), "t1", failed.ID); err != nil || r.Status != Pinned {
		t.Errorf("%+v, %v", r, err)
	}
	broken := &countingPeer{lateFakePeer: p, asked: func() {}, err: errLost}
	if err := NewWorker(s, broken, WorkerConfig{}).Verify(t.Context(), "t1"); !errors.Is(err, errLost) {
		t.Errorf("a peer that does not answer: %v", err)
	}
}

// TestReplication: of the claims on a CID the largest replication counts, and it goes back
// when that claim goes.
func TestReplication(t *testing.T) {
	db, c, p := openDB(t), newClock(), newLateFakePeer()
	s := newInstance(db, c, 0)
	w := NewWorker(s, p, WorkerConfig{DefaultMin: 2, DefaultMax: 3})
	step := func(want string) {
		t.Helper()
		if err := w.do(t.Context(), mustPop(t.Context(), s)); err != nil {
			t.Fatal(err)
		}
		if pin, _ := p.has(testCID(1)); fmt.Sprint(pin.ReplMin, pin.ReplMax, pin.Origins) != want {
			t.Errorf("%+v, want %s", pin.PeerPin, want)
		}
	}
	n := newRequest("t1", 1)
	n.ReplMin, n.ReplMax, n.Origins = 1, 2, []string{"/ip4/192.0.2.1/tcp/1"}
	create(t, s, n)
	step("1 2 [/ip4/192.0.2.1/tcp/1]")
	n = newRequest("t2", 1)
	n.ReplMin, n.ReplMax = 4, 5
	more := create(t, s, n)
	step("4 5 [/ip4/192.0.2.1/tcp/1]")
	if err := s.Remove(t.Context(), "t2", more.ID); err != nil {
		t.Fatal(err)
	}
	step("1 2 [/ip4/192.0.2.1/tcp/1]")
}

// countingPeer fails, and tells when it was asked.
type countingPeer struct {
	*lateFakePeer
	asked func()
	err   error
}

func (p *countingPeer) Status(ctx context.Context, cids []string) ([]PeerStatus, error) {
	p.asked()
	if p.err != nil {
		return nil, p.err
	}
	return p.lateFakePeer.Status(ctx, cids)
}

// TestTodoPauses: what was left is looked at after two to three minutes, and while it fails,
// after pauses that grow to an hour, until it is done.
func TestTodoPauses(t *testing.T) {
	db, c := openDB(t), newClock()
	ready(t, db, c)
	s := newInstance(db, c, 0)
	begun := c.now()
	var looks []int
	p := &countingPeer{lateFakePeer: newLateFakePeer(), err: errLost}
	p.asked = func() { looks = append(looks, int(c.now().Sub(begun)/time.Minute)) }
	w := NewWorker(s, p, WorkerConfig{})
	create(t, s, newRequest("t1", 1))
	shard := shardOf(testCID(1))
	pass := func() {
		t.Helper()
		if err := w.pass(t.Context(), shard); err != nil {
			t.Fatal(err)
		}
	}
	for range 300 {
		c.add(time.Minute)
		pass()
	}
	pauses := make([]int, len(looks))
	for i, last := range append([]int{0}, looks[:len(looks)-1]...) {
		pauses[i] = looks[i] - last
	}
	if len(pauses) < 8 {
		t.Fatalf("pauses of %v minutes", pauses)
	}
	for i, least := range []int{2, 2, 4, 8, 16, 32, 64, 64} {
		if pauses[i] < least || pauses[i] > least+1 {
			t.Errorf("pauses of %v minutes, number %d is not %d or one more", pauses, i, least)
		}
	}
	p.err = nil
	c.add(2 * time.Hour)
	pass()
	looked := len(looks)
	c.add(5 * time.Hour)
	pass()
	if _, ok := p.has(testCID(1)); !ok || len(looks) != looked {
		t.Errorf("pinned %v, looked at %d times more", ok, len(looks)-looked)
	}
}

// TestTodoCursor: an instance that stops in a pass leaves its slots to the next one, and what
// is done is not done again.
func TestTodoCursor(t *testing.T) {
	db, c := openDB(t), newClock()
	ready(t, db, c)
	s := newInstance(db, c, 0)
	create(t, s, newRequest("t1", 1))
	c.add(10 * time.Minute)
	shard := shardOf(testCID(1))
	ctx, cancel := context.WithCancel(t.Context())
	p := &countingPeer{lateFakePeer: newLateFakePeer(), err: errLost, asked: cancel}
	if err := NewWorker(s, p, WorkerConfig{}).pass(ctx, shard); err == nil {
		t.Fatal("a pass that was stopped says that it is done")
	}
	var asked atomic.Int32
	p.err, p.asked = nil, func() { asked.Add(1) }
	w := NewWorker(newInstance(db, c, 0), p, WorkerConfig{})
	for range 3 {
		if err := w.pass(t.Context(), shard); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := p.has(testCID(1)); !ok || asked.Load() != 2 { // before and after it pinned
		t.Errorf("pinned %v, asked %d times", ok, asked.Load())
	}
}

// TestFirstPass: without a cursor the slots of the last week are looked at.
func TestFirstPass(t *testing.T) {
	db, c, p := openDB(t), newClock(), newLateFakePeer()
	s := newInstance(db, c, 0)
	create(t, s, newRequest("t1", 1))
	c.add(6*24*time.Hour + 23*time.Hour)
	if err := NewWorker(s, p, WorkerConfig{}).pass(t.Context(), shardOf(testCID(1))); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.has(testCID(1)); !ok {
		t.Error("what was to be done was not found")
	}
}

// TestRun: a worker pins, polls until the status stays, finds what another instance has left,
// and ends with its context.
func TestRun(t *testing.T) {
	db, p := openDB(t), newLateFakePeer()
	other := New(Config{DB: db}) // which has ended since
	other.now = func() time.Time { return time.Now().Add(-10 * time.Minute) }
	left := create(t, other, newRequest("t1", 3))
	s := New(Config{DB: db})
	p.set(testCID(1), fakePin{status: Pinning})
	w := NewWorker(s, p, WorkerConfig{})
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	status := func(r Request, want Status) func() bool {
		return func() bool {
			got, err := s.Get(t.Context(), "t1", r.ID)
			return err == nil && got.Status == want
		}
	}
	first, second := create(t, s, newRequest("t1", 1)), create(t, s, newRequest("t1", 2))
	cqltest.WaitFor(t, "what was left to be pinned", status(left, Pinned))
	cqltest.WaitFor(t, "the second to be pinned", status(second, Pinned))
	cqltest.WaitFor(t, "the first to be pinning", status(first, Pinning))
	p.set(testCID(1), fakePin{status: Pinned})
	cqltest.WaitFor(t, "the first to be pinned", status(first, Pinned))
	p.set(testCID(2), fakePin{ours: true, status: Failed})
	w.Touch(testCID(2))
	cqltest.WaitFor(t, "the second to have failed", status(second, Failed))
	cancel(errCrash)
	if err := <-ended; !errors.Is(err, errCrash) {
		t.Error(err)
	}
}

// TestTouchRemovesNothing: an event on a CID that nobody claims has nothing unpinned, also
// with the gateway's mark. A keyspace that is empty by mistake must not empty the cluster.
func TestTouchRemovesNothing(t *testing.T) {
	db, c, p := openDB(t), newClock(), newLateFakePeer()
	s := newInstance(db, c, 0)
	w := NewWorker(s, p, WorkerConfig{})
	p.set(testCID(1), fakePin{ours: true, status: Pinned})
	w.Touch(testCID(1))
	some, _ := w.polls.take(time.Now(), 10)
	w.look(t.Context(), some)
	if s.queue.push(work{cid: "next"}); mustPop(t.Context(), s).cid != "next" {
		t.Error("there is something to do")
	}
	if again, _ := w.polls.take(time.Now().Add(time.Hour), 10); len(some) != 1 || len(again) != 0 {
		t.Errorf("looked at %d, then %d", len(some), len(again))
	}
	if todo := stored(t, db, "cid", "todo"); len(todo) != 0 {
		t.Errorf("to be looked at: %v", todo)
	}
}

// TestSized: a size that an event tells is that of all requests for the CID, and of those that
// are made later; it counts for the limit, once.
func TestSized(t *testing.T) {
	db, c, p := openDB(t), newClock(), newLateFakePeer()
	s := newInstance(db, c, 0)
	w := NewWorker(s, p, WorkerConfig{})
	p.set(testCID(1), fakePin{ours: true, status: Pinned}) // of a peer that knows no sizes
	size := func(r Request) int64 {
		t.Helper()
		got, err := s.Get(t.Context(), r.Tenant, r.ID)
		if err != nil || got.Status != Pinned {
			t.Errorf("%+v, %v", got, err)
		}
		return got.Size
	}
	var made []Request
	request := func(tenant string) {
		t.Helper()
		made = append(made, create(t, s, newRequest(tenant, 1)))
		c.add(time.Second)
		if err := w.do(t.Context(), mustPop(t.Context(), s)); err != nil {
			t.Fatal(err)
		}
	}
	request("t1")
	request("t2")
	if a, b := size(made[0]), size(made[1]); a != 0 || b != 0 {
		t.Errorf("sizes %d and %d before an event", a, b)
	}
	for range 3 { // one of each peer
		c.add(time.Second)
		w.Sized(testCID(1), 77)
		w.Touch(testCID(1)) // forgets nothing
		some, _ := w.polls.take(time.Now(), 10)
		w.look(t.Context(), some)
	}
	request("t3")
	for _, r := range made {
		if got := size(r); got != 77 {
			t.Errorf("the size of the request of %s is %d", r.Tenant, got)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range made {
		if used, err := s.Usage(t.Context(), r.Tenant); err != nil || used.Bytes != 77 {
			t.Errorf("%s: %+v, %v", r.Tenant, used, err)
		}
	}
}
