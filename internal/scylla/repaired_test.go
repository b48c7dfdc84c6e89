package scylla

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseRange(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	for text, want := range map[string]string{
		"(-12,34]":                    "[{-12 34}]",
		"(34,-12]":                    fmt.Sprintf("[{34 %d} {%d -12}]", math.MaxInt64, math.MinInt64),
		"(5,5]":                       fmt.Sprintf("[{5 %d} {%d 5}]", math.MaxInt64, math.MinInt64),
		"(9000,-9223372036854775808]": fmt.Sprintf("[{9000 %d} {%d %d}]", math.MaxInt64, math.MinInt64, math.MinInt64),
		"":                            "[]",
		"(1,2)":                       "[]",
		"(abc,def]":                   "[]",
		"(1]":                         "[]",
	} {
		type bounds struct{ after, upTo int64 }
		got := []bounds{}
		for _, r := range parseRange(text, at) {
			got = append(got, bounds{r.after, r.upTo})
			if !r.at.Equal(at) {
				t.Errorf("%s has the time %s", text, r.at)
			}
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s is %v, want %s", text, got, want)
		}
	}
}

// TestRepairedSince compares it with what follows from each piece of a small ring.
func TestRepairedSince(t *testing.T) {
	const pieces = 8
	bound := func(i int) int64 {
		switch i {
		case 0:
			return math.MinInt64
		case pieces:
			return math.MaxInt64
		}
		return int64(i) * 1000
	}
	rapid.Check(t, func(t *rapid.T) {
		var last [pieces]int
		var all []repairedRange
		for range rapid.IntRange(0, 40).Draw(t, "repairs") {
			from, to := rapid.IntRange(0, pieces-1).Draw(t, "from"), rapid.IntRange(1, pieces).Draw(t, "to")
			at := rapid.IntRange(1, 100).Draw(t, "at")
			for i := range pieces {
				if from < to && i >= from && i < to || from >= to && (i >= from || i < to) {
					last[i] = max(last[i], at)
				}
			}
			left, right := bound(from), bound(to)
			if to == pieces {
				right = math.MinInt64 // as the end of the ring is written
			}
			all = append(all, parseRange(fmt.Sprintf("(%d,%d]", left, right), time.Unix(int64(at), 0))...)
		}
		want := last[0]
		for _, at := range last {
			want = min(want, at)
		}
		got := repairedSince(all)
		if want == 0 && !got.IsZero() || want > 0 && got.Unix() != int64(want) {
			t.Fatalf("%v were repaired since %v, want %d", all, got, want)
		}
	})
}

// TestExtensionMap: the bytes are what the sources of ScyllaDB write, where this was
// read. They were not taken from a server.
func TestExtensionMap(t *testing.T) {
	const repair = "02000000" + "04000000" + "6d6f6465" + "06000000" + "726570616972" +
		"1c000000" + "70726f7061676174696f6e5f64656c61795f696e5f7365636f6e6473" + "04000000" + "33363030"
	whole, err := hex.DecodeString(repair)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"mode": "repair", "propagation_delay_in_seconds": "3600"}
	if got := extensionMap(whole); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for n := range whole { // whatever is cut off
		for key, value := range extensionMap(whole[:n]) {
			if want[key] != value {
				t.Errorf("of %d bytes: %s is %q", n, key, value)
			}
		}
	}
}
