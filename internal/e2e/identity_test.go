package e2e

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// A process of a peer is stopped for so long that another one, in another folder,
// may take its identity. When it goes on it ends, and no pin is lost. Before,
// while it runs, the other one is refused.
func TestIdentityTakenOver(t *testing.T) {
	t.Parallel()
	const identity = "identity.json"
	db := on(t, cqltest.Start(t))
	kubos := []*ipfs{startKubo(t), startKubo(t)}
	group := newGroup(t, db, kubos, nil)
	first, second := group[0], group[1]
	text, err := os.ReadFile(filepath.Join(first.folder, identity))
	if err == nil {
		err = os.WriteFile(filepath.Join(second.folder, identity), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	const n = 10
	kubos[1].addBlocks(t, t.Name(), 3*n)
	cids := kubos[0].addBlocks(t, t.Name(), 3*n)
	first.start(t)
	first.waitReady(t)
	pin := func(p *member, cids []string) {
		t.Helper()
		for i, cid := range cids {
			if err := p.pin(cid, []url.Values{nil, onto(p.id(t))}[i%2]); err != nil {
				t.Fatal(err)
			}
		}
	}
	pin(first, cids[:n])
	eventually(t, time.Minute, "the pins are pinned", func() error { return onlyPinned(kubos[0].pinned(t), cids, cids[:n]) })
	checkRefused(t, run(t, second.service(t, nil, "daemon")), "peer ID "+first.id(t)+" is in use by ", first.folder, "stop that peer")

	// Requests are under way when the process is stopped.
	done := make(chan map[string]error, 1)
	go func() { done <- first.pinAll(cids[n : 2*n]) }()
	stopped := first.daemon
	if err := stopped.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	second.start(t)
	second.waitReady(t)
	pin(second, cids[2*n:])
	if err := stopped.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stopped.Exited():
	case <-time.After(noticed):
		t.Fatal("a process runs on when another one has its identity")
	}
	lines := strings.Split(strings.TrimSpace(stopped.text(t)), "\n")
	last := lines[len(lines)-1]
	checkRefused(t, outcome{code: exitCode(t, stopped.Wait()), stderr: last}, "error running cluster: ", "taken over")

	want, unanswered := slices.Concat(cids[:n], cids[2*n:]), 0
	for cid, err := range <-done {
		var answer *refusal
		if err == nil {
			want = append(want, cid)
		} else if !errors.As(err, &answer) {
			unanswered++
		}
	}
	t.Logf("%d of the requests under way were acknowledged, %d got no answer", len(want)-2*n, unanswered)
	pins, err := second.pins()
	if err != nil {
		t.Fatal(err)
	}
	for _, cid := range want {
		if _, ok := pins[cid]; !ok {
			t.Errorf("the acknowledged pin of %s is lost", cid)
		}
	}
	eventually(t, noticed, "the other Kubo has what is in the pinset", func() error {
		return second.agrees(t, cids, func(cid string) bool { _, ok := pins[cid]; return ok })
	})
	second.stop(t)
}

// pinAll pins all at once, and returns what became of each request.
func (r *rest) pinAll(cids []string) map[string]error {
	errs := make([]error, len(cids))
	var group sync.WaitGroup
	for i, cid := range cids {
		group.Go(func() { errs[i] = r.pin(cid, nil) })
	}
	group.Wait()
	answers := make(map[string]error)
	for i, cid := range cids {
		answers[cid] = errs[i]
	}
	return answers
}
