package e2e

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fate is what a client knows of a CID from the answers it got.
type fate int

const (
	absent fate = iota
	pinned
	unpinned
	// refused means that the peer has answered with an error, unknown that
	// it has not answered. Either way the pin may be there or not.
	refused
	unknown
)

// load is a number of clients that pin and unpin CIDs of their own, so that
// each knows what must have become of them.
type load struct {
	workers []*worker
	pins    atomic.Int64 // acknowledged
	unpins  atomic.Int64
	// cut counts requests whose connection broke before an answer came.
	cut atomic.Int64
}

type worker struct {
	fresh []string // CIDs that it has not used
	own   []string // those whose pin was acknowledged, and no unpin tried
	fates map[string]fate
	why   map[string]denial // of the refused ones
	query url.Values        // options of its pins
}

// denial is a request that was refused.
type denial struct {
	unpin bool
	err   error
}

// newLoad deals the CIDs out to clients, and the options of pins in turn.
func newLoad(cids []string, queries ...url.Values) *load {
	l := &load{}
	for i := range clients {
		w := &worker{fates: make(map[string]fate), why: make(map[string]denial), query: queries[i%len(queries)]}
		for j := i; j < len(cids); j += clients {
			w.fresh = append(w.fresh, cids[j])
		}
		l.workers = append(l.workers, w)
	}
	return l
}

// run makes requests to p, of which the given share are unpins, until stop is
// closed or connections break. It returns when every client has its last answer.
func (l *load) run(t *testing.T, p *rest, unpins float64, stop <-chan struct{}) {
	var wg sync.WaitGroup
	for _, w := range l.workers {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if len(w.fresh) == 0 {
					t.Error("the load has used all its CIDs")
					return
				}
				if !l.request(w, p, len(w.own) > 0 && rand.Float64() < unpins) {
					return
				}
			}
		})
	}
	wg.Wait()
}

// request makes one request and notes its outcome. It returns false when the
// connection broke.
func (l *load) request(w *worker, p *rest, unpin bool) bool {
	var cid string
	var err error
	if unpin {
		i := rand.IntN(len(w.own))
		cid = w.own[i]
		w.own[i] = w.own[len(w.own)-1]
		w.own = w.own[:len(w.own)-1]
		err = p.unpin(cid)
	} else {
		cid = w.fresh[0]
		w.fresh = w.fresh[1:]
		err = p.pin(cid, w.query)
	}
	var answer *refusal
	switch {
	case err == nil && unpin:
		w.fates[cid] = unpinned
		l.unpins.Add(1)
	case err == nil:
		w.fates[cid] = pinned
		w.own = append(w.own, cid)
		l.pins.Add(1)
	case errors.As(err, &answer):
		w.fates[cid], w.why[cid] = refused, denial{unpin, err}
	default:
		w.fates[cid] = unknown
		if !errors.Is(err, syscall.ECONNREFUSED) {
			l.cut.Add(1) // it was sent
		}
		return false
	}
	return true
}

// fates returns what is known of every CID that was used.
func (l *load) fates() map[string]fate {
	all := make(map[string]fate)
	for _, w := range l.workers {
		maps.Copy(all, w.fates)
	}
	return all
}

// denials returns the requests that were refused, by their CIDs.
func (l *load) denials() map[string]denial {
	all := make(map[string]denial)
	for _, w := range l.workers {
		maps.Copy(all, w.why)
	}
	return all
}

// ofOneRequest is what no other answer has, even if the reason is the same.
var ofOneRequest = regexp.MustCompile(`\b(request|bucket) ([A-Z0-9]{8}|\d+)\b`)

// report tells what the load has done.
func (l *load) report(t *testing.T) {
	t.Helper()
	reasons := make(map[string]int)
	denials := l.denials()
	for cid, d := range denials {
		reasons[ofOneRequest.ReplaceAllString(strings.ReplaceAll(d.err.Error(), cid, "…"), "$1 …")]++
	}
	t.Logf("%d pins and %d unpins acknowledged, %d requests cut off, %d refused", l.pins.Load(), l.unpins.Load(), l.cut.Load(), len(denials))
	for reason, n := range reasons {
		t.Logf("refused %d times: %s", n, reason)
	}
}

// undone counts what was acknowledged and is not so in the pinset: pins that are
// lost, and unpins of what is there all the same.
func (l *load) undone(state map[string]bool) (lost, undead int) {
	for cid, f := range l.fates() {
		if f == pinned && !state[cid] {
			lost++
		}
		if f == unpinned && state[cid] {
			undead++
		}
	}
	return lost, undead
}

// checkState fails the test unless what was acknowledged is in the pinset.
func (l *load) checkState(t *testing.T, state map[string]bool) {
	t.Helper()
	if lost, undead := l.undone(state); lost > 0 || undead > 0 {
		t.Errorf("%d acknowledged pins are not in the pinset, %d acknowledged unpins still are", lost, undead)
	}
}

// agree returns an error unless IPFS has pinned, of the CIDs of the load,
// exactly those that are in the pinset.
func (l *load) agree(state, ipfs map[string]bool) error {
	missing, extra := 0, 0
	for cid := range l.fates() {
		if state[cid] && !ipfs[cid] {
			missing++
		}
		if !state[cid] && ipfs[cid] {
			extra++
		}
	}
	if missing > 0 || extra > 0 {
		return fmt.Errorf("IPFS lacks %d pins of the pinset and has %d that are not in it", missing, extra)
	}
	return nil
}

// untilIPFSAgrees waits until k has what is in the pinset by p, and returns the
// pinset.
func (l *load) untilIPFSAgrees(t *testing.T, p *peer, k *ipfs) map[string]bool {
	t.Helper()
	var state map[string]bool
	var listed time.Time
	eventually(t, 3*time.Minute, "IPFS has what is in the pinset", func() error {
		// Requests that were cut off may still change the pinset. To list it
		// takes more than to list what IPFS has.
		if err := l.agree(state, k.pinned(t)); err != nil && time.Since(listed) < 5*time.Second {
			return err
		}
		var err error
		if state, err = p.allocations(); err != nil {
			return err
		}
		listed = time.Now()
		return l.agree(state, k.pinned(t))
	})
	return state
}
