package reconcile

import (
	"bufio"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	logging "github.com/ipfs/go-log/v2"
)

// logLines collects what the package logs from warnings on.
func logLines(t *testing.T) func(part string) int {
	t.Helper()
	if err := logging.SetLogLevel("reconcile", "warn"); err != nil {
		t.Fatal(err)
	}
	pipe := logging.NewPipeReader(logging.PipeFormat(logging.PlaintextOutput), logging.PipeLevel(logging.LevelWarn))
	var mu sync.Mutex
	var lines []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for in := bufio.NewScanner(pipe); in.Scan(); {
			mu.Lock()
			lines = append(lines, in.Text())
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		if err := pipe.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return func(part string) int {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for _, l := range lines {
			if strings.Contains(l, part) {
				n++
			}
		}
		return n
	}
}

func TestStopRuleIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := logLines(t)
		w := newWorld(t, alice, bob, carol, dave)
		defer w.run(alice)()
		w.die(bob, carol, dave)
		pass(20 * time.Minute)
		if n := logged("3 of 4 peers died"); n != 1 {
			t.Errorf("the stop rule was announced %d times", n)
		}
		w.revive(bob)
		w.revive(carol)
		pass(20 * time.Minute)
		if n := logged("no more than 1 of 4 peers died within 1h0m0s, and this peer has seen all of them live: the pins of dead peers are given to others again"); n != 1 {
			t.Errorf("its end was announced %d times", n)
		}
	})
}

func TestStarvedPinsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := logLines(t)
		w := newWorld(t, alice, bob)
		for n := range 20 {
			w.add(n, 2, 2, alice, bob)
		}
		clear(w.store.feeds)
		w.die(bob)
		defer w.run(alice)()
		pass(4 * time.Minute)
		if n := logged("20 pins of"); n != 1 || logged("not enough") != 1 {
			t.Errorf("20 pins that nobody can take make %d lines, %d of them counting all", logged("not enough"), n)
		}
		w.leave(alice)
		w.add(30, 1, 1, alice)
		pass(time.Second)
		before := logged("cannot leave")
		pass(30 * time.Second)
		if n := logged("cannot leave") - before; n != 1 {
			t.Errorf("a pass of the drain says %d times that pins cannot leave", n)
		}
	})
}

func TestFailuresAreLoggedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := logLines(t)
		w := newWorld(t, alice)
		w.store.fail = failAll
		defer w.run(alice)()
		pass(35 * time.Minute)
		if n := logged("removing pins that have run out: "); n != 4 {
			t.Errorf("a failure of all 16 shards was logged %d times in 35 minutes, want 4", n)
		}
	})
}

// TestOnlyCopiesAreLogged: how many pins of a dead peer no live one held, whether
// its placements tell of them or its feed, which it had not read to the end.
func TestOnlyCopiesAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := logLines(t)
		w := newWorld(t, alice, bob)
		w.idle = true
		for n := range 5 {
			w.add(n, 1, 1, bob)
		}
		w.add(6, 1, 2, bob, alice)
		clear(w.store.feeds) // they are not new
		for n := range 3 {
			w.addUnheld(10+n, 1, 1, bob) // these are
		}
		w.die(bob)
		defer w.run(alice)()
		pass(10 * time.Minute)
		announced := 0
		for n := 1; n <= 8; n++ {
			announced += n * logged(fmt.Sprintf("%d of the pins of %s, which is dead, had no other live holder", n, bob))
		}
		if announced != 8 {
			t.Errorf("%d of 8 were announced", announced)
		}
	})
}
