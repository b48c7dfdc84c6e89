package membership

import (
	"bufio"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	logging "github.com/ipfs/go-log/v2"
)

// logLines collects what the package logs. The result counts the lines with a text.
func logLines(t *testing.T) func(part string) int {
	t.Helper()
	if err := logging.SetLogLevel("membership", "info"); err != nil {
		t.Fatal(err)
	}
	pipe := logging.NewPipeReader(logging.PipeFormat(logging.PlaintextOutput), logging.PipeLevel(logging.LevelInfo))
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
		_ = logging.SetLogLevel("membership", "error")
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

// TestZonesAreGivenOneByOne: peers get their zones, and start again for it. Who is the last
// finds nothing amiss, and the others say once what is, and that it is over.
func TestZonesAreGivenOneByOne(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		logged := logLines(t)
		const amiss, over = "contradict each other: ", "the zones of the peers do not contradict each other any more"
		a, b := options(db, "A"), options(db, "B")
		a.Zone = "rack-1"
		startPeer(t, a)
		last := startPeer(t, b)
		after(time.Hour)
		if n := logged(amiss); n != 2 {
			t.Errorf("two peers said %d times in an hour that one has no zone", n)
		}
		stop(t, last)
		b.Zone = "rack-2"
		startPeer(t, b)
		after(time.Hour)
		if n := logged(amiss); n != 2 {
			t.Errorf("it was said %d times, also by the last one that got its zone", n)
		}
		if n := logged(over); n != 1 {
			t.Errorf("the first said %d times that it is over", n)
		}
	})
}
