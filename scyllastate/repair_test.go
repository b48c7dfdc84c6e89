package scyllastate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// TestRepairWarnings: what is warned of, and what not.
func TestRepairWarnings(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, tt := range []struct {
		name    string
		made    time.Time
		unknown error
		table   scylla.TableRepair
		want    string // part of the only warning, none if it is empty
	}{
		{"in time", ago(90 * day), nil, scylla.TableRepair{GC: scylla.GCTimeout, Grace: 10 * day, Repaired: ago(3 * day)}, ""},
		{"new", ago(3 * day), nil, scylla.TableRepair{GC: scylla.GCTimeout, Grace: 10 * day}, ""},
		{"never", ago(11 * day), nil, scylla.TableRepair{GC: scylla.GCTimeout, Grace: 10 * day}, "k.pins was not repaired completely as far back as the database remembers, and drops"},
		{"soon", ago(90 * day), nil, scylla.TableRepair{GC: scylla.GCTimeout, Grace: 10 * day, Repaired: ago(8 * day)}, "was repaired completely 8.0 days ago, and has to be every 10.0 days"},
		{"too late", ago(90 * day), nil, scylla.TableRepair{GC: scylla.GCTimeout, Grace: 10 * day, Repaired: ago(12 * day)}, "was repaired completely 12.0 days ago, and drops what was removed after 10.0 days"},
		{"short grace", ago(time.Minute), nil, scylla.TableRepair{GC: scylla.GCTimeout, Grace: time.Hour}, "after 1h0m0s (gc_grace_seconds)"},
		{"short grace, history unknown", ago(time.Minute), errors.New("no"), scylla.TableRepair{GC: scylla.GCTimeout, Grace: time.Hour}, "after 1h0m0s (gc_grace_seconds)"},
		{"history unknown", ago(90 * day), errors.New("no"), scylla.TableRepair{GC: scylla.GCTimeout, Grace: 10 * day}, ""},
		{"age unknown", time.Time{}, nil, scylla.TableRepair{GC: scylla.GCTimeout, Grace: 10 * day}, ""},
		{"by repair, never", ago(90 * day), nil, scylla.TableRepair{GC: scylla.GCRepair, Grace: time.Hour}, ""},
		{"disabled", ago(90 * day), nil, scylla.TableRepair{GC: scylla.GCDisabled}, ""},
		{"immediate", ago(time.Minute), nil, scylla.TableRepair{GC: scylla.GCImmediate, Grace: 10 * day}, "mode immediate"},
	} {
		tt.table.Table = "pins"
		got := repairWarnings(scylla.Repairs{Made: tt.made, Unknown: tt.unknown, Tables: []scylla.TableRepair{tt.table}}, "k", now)
		switch {
		case tt.want == "" && len(got) > 0:
			t.Errorf("%s: warns %q", tt.name, got)
		case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)):
			t.Errorf("%s: warns %q, want %q", tt.name, got, tt.want)
		}
	}

	short := scylla.TableRepair{GC: scylla.GCTimeout, Grace: time.Hour}
	one, two, three := short, short, short
	one.Table, two.Table, three.Table = "pins", "placements", "everywhere"
	two.GC = scylla.GCRepair
	got := repairWarnings(scylla.Repairs{Tables: []scylla.TableRepair{one, two, three}}, "k", now)
	if len(got) != 1 || !strings.HasPrefix(got[0], "k.pins, k.everywhere drops what was removed") {
		t.Errorf("of three tables: %q", got)
	}
}

// TestRepairsAreLookedUpAgain: a look that fails is made again in a minute, not in a day,
// and one that goes on failing is told of once.
func TestRepairsAreLookedUpAgain(t *testing.T) {
	warnings(t)
	var looks []time.Duration
	told := logtest.During(t, logging.LevelWarn, func() { // its pipe is none of the bubble's
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			lookDaily(ctx, "k", func(context.Context) (unknown, err error) {
				looks = append(looks, time.Since(begun))
				switch n := len(looks); {
				case n == 7:
					cancel()
				case n < 5:
					return nil, errors.New("it is slow")
				}
				return nil, nil
			})
		})
	})
	const m, day = time.Minute, 24 * time.Hour
	if want := []time.Duration{0, m, 3 * m, 7 * m, 15 * m, 15*m + day, 15*m + 2*day}; !slices.Equal(looks, want) {
		t.Errorf("it looks after %s, want %s", looks, want)
	}
	if n := strings.Count(told, "it is slow"); n != 1 {
		t.Errorf("it is told of %d times: %s", n, told)
	}
}
