package pins

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// settleMost bounds what is done with one CID.
	settleMost = 30 * time.Second
	// startMost is how old the todo row may be by which a peer begins to be asked for
	// something: with settleMost and SettleTime it is less than todoAfter, so that the look
	// comes after all of it.
	startMost = 20 * time.Second
	// This does not compile if it is not less.
	_ = uint64(todoAfter - startMost - settleMost - SettleTime)
	// workers is the default of WorkerConfig.Parallel.
	workers = 16
)

// Worker makes the cluster hold what is claimed, and requests say what it does. Each
// instance has one. It is safe for concurrent use.
type Worker struct {
	service *Service
	peer    Peer
	conf    WorkerConfig
	holder  string // of leases
	polls   *polls
	// verifying has whoever of Verify asks the peer.
	verifying sync.Mutex
}

// WorkerConfig are the settings of a Worker. Zero means the default.
type WorkerConfig struct {
	// Parallel is how many CIDs are worked on at a time: 16.
	Parallel int
	// DefaultMin and DefaultMax are the replication that the cluster gives to a pin that
	// asks for none, if that is known. A request for 0 counts as one for so many beside
	// others for the same CID.
	DefaultMin, DefaultMax int
}

// NewWorker returns a worker for the requests of s.
func NewWorker(s *Service, peer Peer, conf WorkerConfig) *Worker {
	if conf.Parallel == 0 {
		conf.Parallel = workers
	}
	holder := fmt.Sprintf("%s %s", scylla.Process(), uuid.NewString())
	return &Worker{service: s, peer: peer, conf: conf, holder: holder, polls: newPolls(pollsMost)}
}

// Run works until ctx ends. It is called once. It fails only by the end of ctx: while the
// peer or the database does not answer, it tries again.
func (w *Worker) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for range w.conf.Parallel {
		running.Go(func() { w.work(ctx) })
	}
	running.Go(func() { w.poll(ctx) })
	running.Go(func() { w.passes(ctx, "todo", w.pass) })
	if w.service.told != nil {
		running.Go(func() { w.passes(ctx, "told", w.tellPass) })
	}
	running.Wait()
	return context.Cause(ctx)
}

// Touch says that something may have become of a CID, such as by an event. It does not
// wait. What it cannot remember, for want of room, the status of a request shows later.
func (w *Worker) Touch(cid string) { w.Sized(cid, 0) }

// Sized says, beside what Touch does, how many bytes a CID has, 0 if that is not known. All
// requests for it that are there then have that size.
func (w *Worker) Sized(cid string, size int64) {
	if canonical, err := canonicalCID(cid); err == nil {
		w.polls.add(poll{cid: canonical, due: time.Now(), size: max(0, size)})
	}
}

// WorkerStats are how much work an instance remembers.
type WorkerStats struct {
	// Queued CIDs wait to be settled, Polls are looked at again and again.
	Queued, Polls int
}

// Stats returns how much work there is now.
func (w *Worker) Stats() WorkerStats {
	return WorkerStats{Queued: w.service.queue.len(), Polls: w.polls.len()}
}

// work does what the service has remembered.
func (w *Worker) work(ctx context.Context) {
	for {
		item, err := w.service.queue.pop(ctx)
		if err != nil {
			return
		}
		if err := w.do(ctx, item); err != nil && ctx.Err() == nil {
			logger.Debugf("%s is tried again: %s", item.cid, err)
		}
	}
}

// do settles one CID, and has it looked at again until there is a status that stays. What
// fails is tried again after failedPause, and should this process be killed by the todo row.
func (w *Worker) do(ctx context.Context, item work) error {
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	if time.Since(item.since) > startMost {
		if err := w.service.announce(ctx, todoItem{cid: item.cid, tenant: item.tenant, key: item.key, made: item.made}, todoAfter); err != nil {
			return err
		}
	}
	var named []claimant
	if item.tenant != "" {
		named = []claimant{{item.tenant, item.key}}
	}
	final, err := w.settleAndTell(ctx, item.cid, named)
	switch {
	case err != nil:
		w.polls.add(poll{cid: item.cid, due: time.Now().Add(failedPause), tries: failedTries, named: named})
	case !final:
		w.polls.add(poll{cid: item.cid, due: time.Now().Add(firstPoll), named: named})
	}
	return err
}

// settleAndTell settles a CID and tells claimants. It returns whether nothing is to come any
// more. Of somebody else's pin that is never so: whoever made it may remove it.
func (w *Worker) settleAndTell(ctx context.Context, cid string, named []claimant) (final bool, err error) {
	c, o, err := w.settle(ctx, cid)
	if err != nil {
		return false, err
	}
	if !c.any() {
		if c.status != "" {
			return true, w.service.forgetTold(ctx, cid, o.begun)
		}
		return true, nil
	}
	if o.size == 0 {
		if o.size, err = w.service.sizeOf(ctx, &c, named); err != nil {
			return false, err
		}
	}
	told, err := w.tell(ctx, cid, &c, o, named)
	return told && o.status.Final() && o.ours, err
}
