package closing

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

const (
	// memory is what the close of a day may take, whatever its size, in bytes.
	memory = 256 << 20
	// factsEach is how many facts an owner has.
	factsEach = 10
)

// The close of a day of many owners takes as much memory as that of few: within 256 MB, with
// the driver and all. CLOSE_OWNERS is how many owners there are, each with ten facts: 10,000 with
// TEST_LONG=1.
func TestCloseOfMany(t *testing.T) {
	owners := 300
	if os.Getenv("TEST_LONG") == "1" {
		owners = 10_000
	} else {
		t.Logf("A SLICE ONLY: %d owners. TEST_LONG=1 closes a day of 10,000.", owners)
	}
	if text := os.Getenv("CLOSE_OWNERS"); text != "" {
		n, err := strconv.Atoi(text)
		must(t, err)
		owners = n
	}
	w := newWorld(t, openDB(t))
	for shard := range ledger.Shards {
		w.shards = append(w.shards, shard)
	}
	begun := time.Now()
	want := new(big.Int)
	var some []claim.Fact
	for i := range owners {
		for j := range factsEach {
			f := claim.Fact{
				Delta: usage.Delta{At: first*usage.DayMS + int64(i*j%86_400)*1000, Bytes: big.NewInt(int64(i + j)), Pins: 1},
				Kind:  claim.KindMore, Owner: fmt.Sprint("owner-", i), RequestID: fmt.Sprint("request-", i, "-", j), Cid: "cid",
			}
			f.ID = sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i*factsEach+j)))
			want.Add(want, new(big.Int).Mul(f.Bytes, big.NewInt((first+1)*usage.DayMS-f.At)))
			some = append(some, f)
		}
		if len(some) >= 20_000 || i == owners-1 {
			must(t, w.store.PutFacts(t.Context(), some))
			some = some[:0]
		}
	}
	t.Logf("%d owners with %d facts were written in %s", owners, owners*factsEach, time.Since(begun).Round(time.Millisecond))
	some = nil
	w.clock.dueAt(first)
	debug.FreeOSMemory()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(memory * 3 / 4))
	forget := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600) // the peak so far
	c := w.closer(func(o *Options) { o.Parallel = 0 })
	begun = time.Now()
	w.pass(c)
	took := time.Since(begun)
	peak := peakMemory(t)
	t.Logf("the day was closed in %s, %.0f owners a second; at most %d MB were in memory (%v)", took.Round(time.Millisecond), float64(owners)/took.Seconds(), peak>>20, forget)
	if forget == nil && peak > memory && !raceEnabled() {
		t.Errorf("it took %d MB of memory", peak>>20)
	}
	if owners > 10_000 {
		return // to read all of it takes as long again
	}
	got := new(big.Int)
	reader := w.reader()
	for i := range owners {
		_, err := reader.Days(t.Context(), fmt.Sprint("owner-", i), first, first, func(d DayUsage) error {
			got.Add(got, d.Closed.ByteMS)
			if d.Closed.Deltas != factsEach {
				t.Errorf("owner %d has %d facts", i, d.Closed.Deltas)
			}
			return nil
		})
		must(t, err)
	}
	if got.Cmp(want) != 0 {
		t.Errorf("all owners have %s byte·ms, not %s", got, want)
	}
}

// peakMemory is the most that this process had in memory, in bytes.
func peakMemory(t *testing.T) int64 {
	t.Helper()
	f, err := os.Open("/proc/self/status")
	must(t, err)
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if kb, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(kb, "kB")), 10, 64)
			must(t, err)
			return n << 10
		}
	}
	t.Fatal("the system does not say how much is in memory")
	return 0
}

// raceEnabled reports whether the race detector is there, which takes many times the memory.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if ok && s.Key == "-race" && s.Value == "true" {
			return true
		}
	}
	return false
}
