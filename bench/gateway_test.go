package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// Lists of the gateway cost what they cost only if the pins lie as the gateway puts them.
func TestSlicesAreThoseOfTheGateway(t *testing.T) {
	text, err := os.ReadFile("../auth/pins/slices.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"levels = 5\n", "sliceRows = 20_000\n", "sliceRoom = 8\n", "(created-created%lengthOf(level))*sliceRoom + int64(level)",
		"if p.rows < s.rows || level == levels-1 {",
		"case 0:\n\t\treturn 32 * 24 * time.Hour.", "case 1:\n\t\treturn 24 * time.Hour.", "case 2:\n\t\treturn time.Hour.",
		"case 3:\n\t\treturn time.Minute.", "default:\n\t\treturn 5 * time.Second.",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the gateway has not %q any more", want)
		}
	}
	var cut slicing
	rows := make(map[int64]int)
	first := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 200_000 {
		created := first.Add(time.Duration(i) * pinsApart).UnixMilli()
		slice := cut.next(created)
		if start := slice / sliceFactor; start > created || slice%sliceFactor > 4 {
			t.Fatalf("a pin of %d lies in %d", created, slice)
		}
		if rows[slice]++; rows[slice] > rowsOfSlice {
			t.Fatalf("the slice %d has %d rows", slice, rows[slice])
		}
	}
	if len(rows) < 10 {
		t.Errorf("200,000 pins lie in %d slices", len(rows))
	}
}

func TestPercentile(t *testing.T) {
	sorted := make([]float64, 100)
	for i := range sorted {
		sorted[i] = float64(i + 1)
	}
	for share, want := range map[float64]float64{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := percentile(sorted, share); got != want {
			t.Errorf("the percentile %v is %v, want %v", share, got, want)
		}
	}
}

// TestAskOften: requests do not wait for each other, each has the credential, and one that
// fails is an error.
func TestAskOften(t *testing.T) {
	const n = 20
	set := settings{Asked: 1000, AskedTurn: n * time.Millisecond}
	arrived, all := make(chan string, n), make(chan struct{})
	p := passing{credential: "c", handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- r.URL.Path + " " + r.Header.Get("Authorization")
		<-all // nobody is answered before all have come
		w.WriteHeader(http.StatusOK)
	})}
	d := &doors{ids: []string{"a", "b"}}
	go func() {
		defer close(all)
		seen := make(map[string]int)
		for range n {
			seen[<-arrived]++
		}
		if len(seen) != 2 || seen["/psa/pins/a Bearer c"] != n/2 {
			t.Errorf("asked was %v", seen)
		}
	}()
	took, _, err := d.askOften(t.Context(), p, set)
	if err != nil || len(took) != n || took[0] <= 0 {
		t.Errorf("%v, %v", took, err)
	}
	p.handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	if _, _, err := d.askOften(t.Context(), p, set); err == nil || !strings.Contains(fmt.Sprint(err), "403: no") {
		t.Errorf("a request that is refused: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := d.askOften(ctx, p, set); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
