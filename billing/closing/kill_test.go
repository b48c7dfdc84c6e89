package closing

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// childTask is what a process that is killed has in its environment.
const childTask = "CLOSE_CHILD"

// task is what it does.
type task struct {
	Hosts    []string
	Port     int
	Keyspace string
	Shard    int
	Now      int64 // ms
	Epoch    int64
}

// childMain makes one pass, and says so at each of its steps.
func childMain(text string) error {
	ctx := context.Background()
	var do task
	if err := json.Unmarshal([]byte(text), &do); err != nil {
		return err
	}
	conf := keyspace.Default()
	conf.Hosts, conf.Port, conf.Keyspace = do.Hosts, do.Port, do.Keyspace
	db, err := keyspace.Open(ctx, conf, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	leases := new(freeLeases)
	leases.epoch.Store(do.Epoch)
	c, err := New(Options{
		Store: ledger.New(ctx, db), Leases: leases, First: time.UnixMilli(first * 86_400_000), Now: func() time.Time { return time.UnixMilli(do.Now) },
	})
	if err != nil {
		return err
	}
	c.shards = []int{do.Shard}
	c.at = func(step string) error {
		_, err := fmt.Println(step)
		return err
	}
	return c.Pass(ctx)
}

// A process that is killed by the system, again and again, leaves what the next one completes.
func TestKilled(t *testing.T) {
	server := cqltest.Start(t)
	name := server.Emptied(t)
	conf := keyspace.Default()
	conf.Hosts, conf.Port, conf.Keyspace = server.Hosts(), server.Port(), name
	db, err := keyspace.Open(t.Context(), conf, nil)
	must(t, err)
	t.Cleanup(db.Close)
	w := newWorld(t, db, 3)
	var facts []claim.Fact
	var owners []string
	for i := range 8 {
		owner := w.owner(0, fmt.Sprint("owner", i))
		owners = append(owners, owner)
		facts = append(facts, fact(owner, fmt.Sprint("a", i), first, time.Hour, 5, 1), fact(owner, fmt.Sprint("b", i), first+1, 0, 1<<40, 1))
	}
	w.put(facts...)
	epoch, killed := int64(0), 0
	pass := func() {
		for most, dead := 2, true; dead; most += 9 {
			epoch += 10
			text, err := json.Marshal(task{server.Hosts(), server.Port(), name, 3, w.clock.ms.Load(), epoch})
			must(t, err)
			cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this program
			cmd.Env = append(os.Environ(), childTask+"="+string(text))
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			must(t, err)
			p, err := child.Start(cmd)
			must(t, err)
			n := 0
			for lines := bufio.NewScanner(out); n < most && lines.Scan(); n++ {
			}
			if dead = n == most; dead {
				p.Kill()
				killed++
			} else if err := p.Wait(); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.clock.dueAt(first + 2)
	pass()
	for i, owner := range owners[:4] {
		late := fact(owner, fmt.Sprint("late", i), first, 2*time.Hour, 3, 0)
		w.put(late)
		facts = append(facts, late)
	}
	pass()
	if n := w.check(facts, first+2, owners...); n != 4*3 {
		t.Errorf("%d adjustments", n)
	}
	if killed < 4 {
		t.Errorf("only %d processes were killed", killed)
	}
	t.Logf("%d processes were killed", killed)
}
