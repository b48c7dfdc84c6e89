package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// TestOutageIsNoEmptyList: the database stands still, or is cut off. Whatever a user
// asks for, there is no answer that looks as if there were no pins, or fewer.
func TestOutageIsNoEmptyList(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	between := newWay(t, server)
	db := on(t, server)
	db.port = between.port
	k := startKubo(t)
	p := newPeer(t, db, k, map[string]string{"CLUSTER_SCYLLA_REQUESTTIMEOUT": "5s"})
	p.start(t)
	p.waitReady(t)
	cids := k.addBlocks(t, "TestOutageIsNoEmptyList", 20)
	for _, cid := range cids {
		if err := p.pin(cid, nil); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, time.Minute, "everything is pinned", p.allPinned)
	a := &asker{peer: p, pinsvc: &pinsvcClient{p.pinsvcURL(t), newHTTPClient(t)}, cids: cids}
	a.allWhole(t, "before")
	for _, outage := range []struct {
		name  string
		begin func()
	}{{"the database stands still", between.freeze}, {"the database is cut off", between.cut}} {
		outage.begin()
		a.allFail(t, outage.name)
		between.mend()
		a.allWhole(t, "after: "+outage.name)
	}
	a.oneCorrupt(t, server.Session(t), db.keyspace)
	k.Kill()
	a.allThere(t)
	p.stop(t)
}

// oneCorrupt makes the last pin one that cannot be decoded, and wants the lists to have
// it, with an error, and all others.
func (a *asker) oneCorrupt(t *testing.T, session *gocql.Session, keyspace string) {
	t.Helper()
	last := len(a.cids) - 1
	bad, err := api.DecodeCid(a.cids[last])
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Query("UPDATE "+keyspace+".pins SET pin = 0xff WHERE cid = ?", bad.Bytes()).Exec(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/pins", "/pins?local=true", "/pins?cids=" + strings.Join(a.cids, ",")} {
		if pins, err := a.listed(http.MethodGet, path); pins != len(a.cids) || err == nil || !strings.Contains(err.Error(), "is corrupt") {
			t.Errorf("one pin cannot be decoded, %s: %d pins (%v), want %d with its error", path, pins, err, len(a.cids))
		}
	}
	for _, args := range [][]string{{"status"}, {"status", "--local"}} {
		got := a.ctl(t, args...)
		if n := strings.Count(got.stdout, "PINNED |"); got.code != 0 || n != last || !strings.Contains(got.stdout, "the stored pin of "+a.cids[last]+" is corrupt") {
			t.Errorf("one pin cannot be decoded, ctl %s: exit code %d, %d pins, want %d and the error of one:\n%s", args, got.code, n, last, got.stdout)
		}
	}
}

// allThere wants the lists to have every pin, with an error, when Kubo does not answer.
func (a *asker) allThere(t *testing.T) {
	t.Helper()
	for path, want := range map[string]int{"/pins": len(a.cids), "/pins?filter=error": len(a.cids), "/pins/" + a.cids[0]: 1} {
		if pins, err := a.listed(http.MethodGet, path); err == nil || pins != want {
			t.Errorf("Kubo is down, %s: %d pins (%v), want %d with an error", path, pins, err, want)
		}
	}
	if pins, err := a.listed(http.MethodGet, "/pins?filter=pinned"); err == nil {
		t.Errorf("Kubo is down, what is pinned: %d pins and no error", pins)
	}
	if got := a.ctl(t, "status", "--filter", "pinned"); got.code == 0 {
		t.Errorf("Kubo is down, ctl status --filter pinned ends with success:\n%s", got.stdout)
	}
	for _, path := range []string{"/pins?status=queued", "/pins?status=queued&cid=" + a.cids[0]} {
		var answer struct{ Count int }
		if err := a.pinsvc.do(http.MethodGet, path, nil, &answer); err != nil || answer.Count == 0 {
			t.Errorf("Kubo is down, pinning service, %s: %d pins (%v)", path, answer.Count, err)
		}
	}
}

// asker asks a peer for lists and single pins.
type asker struct {
	*peer
	pinsvc *pinsvcClient
	cids   []string
}

// question is what a user asks. ask returns how many pins the answer has, and its
// error, also that of single ones.
type question struct {
	name string
	ask  func() (pins int, err error)
	// pins is how many there are.
	pins int
}

func (a *asker) rest(name, method, path string, pins int) question {
	return question{name, func() (int, error) { return a.listed(method, path) }, pins}
}

// listed asks the REST API.
func (r *rest) listed(method, path string) (pins int, found error) {
	err := r.do(method, path, func(value json.RawMessage) error {
		var info api.GlobalPinInfo
		if err := json.Unmarshal(value, &info); err != nil {
			return err
		}
		pins++
		for _, at := range info.PeerMap {
			if at.Error != "" && found == nil {
				found = errors.New(at.Error)
			}
		}
		return nil
	})
	return pins, errors.Join(err, found)
}

// questions are those of which the answer is a list of what the peers do with pins, or
// one of them.
func (a *asker) questions(t *testing.T) []question {
	cid, all := a.cids[0], len(a.cids)
	service := func(query string, pins int) question {
		return question{"pinning service, " + query, func() (int, error) {
			var answer struct {
				Count     int
				RequestID string
			}
			err := a.pinsvc.do(http.MethodGet, query, nil, &answer)
			if answer.RequestID != "" {
				answer.Count = 1
			}
			return answer.Count, err
		}, pins}
	}
	ctl := func(pins int, args ...string) question {
		return question{"ctl " + strings.Join(args, " "), func() (int, error) {
			got := a.ctl(t, args...)
			if got.code != 0 {
				return 0, fmt.Errorf("exit code %d: %s%s", got.code, got.stdout, got.stderr)
			}
			return strings.Count(got.stdout, "PINNED |"), nil
		}, pins}
	}
	return []question{
		{"allocations", func() (int, error) {
			pins, err := a.allocations()
			return len(pins), err
		}, all},
		ctl(0, "pin", "ls"),
		a.rest("all", http.MethodGet, "/pins", all),
		a.rest("the pinned", http.MethodGet, "/pins?filter=pinned", all),
		a.rest("the failed", http.MethodGet, "/pins?filter=error", 0),
		a.rest("the queued", http.MethodGet, "/pins?filter=queued", 0),
		a.rest("those of this peer", http.MethodGet, "/pins?local=true", all),
		a.rest("the failed of this peer", http.MethodGet, "/pins?local=true&filter=error", 0),
		a.rest("some", http.MethodGet, "/pins?cids="+strings.Join(a.cids[:3], ","), 3),
		a.rest("one", http.MethodGet, "/pins/"+cid, 1),
		a.rest("one of this peer", http.MethodGet, "/pins/"+cid+"?local=true", 1),
		a.rest("recover all", http.MethodPost, "/pins/recover", 0),
		a.rest("recover those of this peer", http.MethodPost, "/pins/recover?local=true", 0),
		a.rest("recover one", http.MethodPost, "/pins/"+cid+"/recover", 1),
		service("/pins", all),
		service("/pins?status=queued,pinning,failed", 0),
		service("/pins?status=pinned&cid="+cid, 1),
		service("/pins/"+cid, 1),
		ctl(all, "status"),
		ctl(all, "status", "--local"),
		ctl(1, "status", cid),
		ctl(0, "status", "--filter", "error"),
		ctl(0, "recover"),
	}
}

// allWhole wants every answer to be complete, once the driver has found the database
// again.
func (a *asker) allWhole(t *testing.T, when string) {
	t.Helper()
	for _, q := range a.questions(t) {
		eventually(t, time.Minute, when+", "+q.name, func() error {
			pins, err := q.ask()
			if err == nil && pins < q.pins {
				t.Errorf("%s, %s: %d pins and no error, want %d", when, q.name, pins, q.pins)
			}
			return err
		})
	}
}

// allFail wants every answer to have an error. All are asked at the same time.
func (a *asker) allFail(t *testing.T, when string) {
	t.Helper()
	try := func(q question) {
		began := time.Now()
		pins, err := q.ask()
		took := time.Since(began).Round(time.Millisecond)
		var answer *refusal
		switch {
		case err == nil:
			t.Errorf("%s, %s: %d pins and no error after %s", when, q.name, pins, took)
		case strings.HasPrefix(q.name, "pinning service"):
			if !errors.As(err, &answer) || answer.status != http.StatusServiceUnavailable || !strings.Contains(answer.text, `Retry-After: "5"`) {
				t.Errorf("%s, %s: %v after %s, want 503 with Retry-After", when, q.name, err, took)
			}
		}
	}
	var asking sync.WaitGroup
	for _, q := range a.questions(t) {
		asking.Go(func() { try(q) })
	}
	asking.Wait()
}
