package service

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestFeedsReport: a person sees how far events are told and what waits, and is warned when
// half of the time has passed after which they are gone.
func TestFeedsReport(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	const half = scyllastate.EventsKept / 2
	report := func(since time.Duration, told ...time.Duration) feedsReport {
		r := feedsReport{Since: now.Add(-since), Told: make([]time.Time, state.EventShards)}
		for shard := range r.Told {
			if ago := told[min(shard, len(told)-1)]; ago > 0 {
				r.Told[shard] = now.Add(-ago)
			}
		}
		return r
	}
	waiting := report(time.Hour, time.Second)
	waiting.Waiting, waiting.WaitingMore = 7, true
	for _, tt := range []struct {
		what    string
		report  feedsReport
		want    string
		warning string
	}{
		{"off", feedsReport{}, "none in this keyspace yet", ""},
		{"all told", report(300*time.Hour, 2*time.Second, time.Second), "since 2026-01-19T00:00:00Z; told up to 2s ago\nrows after that  0;", ""},
		{"some wait", waiting, "rows after that  at least 7;", ""},
		{"new, and no relay", report(time.Minute, 0), "16 of 16 shards are not read by a relay yet", ""},
		{"old, and no relay", report(half+time.Hour, time.Second, 0), "15 of 16 shards", "warning: 15 of 16 feeds were not told for up to 85h0m0s, and their rows are kept for 168h0m0s"},
		{"half of the time", report(300*time.Hour, half), "told up to 84h0m0s ago", ""},
		{"more than half of it", report(300*time.Hour, half+time.Minute, time.Second), "told up to 84h1m0s ago",
			"warning: 1 of 16 feeds were not told for up to 84h1m0s, and their rows are kept for 168h0m0s: what is not told by then is lost to who receives events: events/0\n"},
		{"told up to before there were any", report(time.Hour, half+time.Hour), "told up to", ""},
	} {
		var out, warned bytes.Buffer
		table := newTable(&out)
		tt.report.print(table, now)
		if err := table.Flush(); err != nil {
			t.Fatal(err)
		}
		tt.report.warn(&warned, now)
		if !strings.Contains(out.String(), tt.want) || !strings.HasPrefix(warned.String(), tt.warning) || tt.warning == "" && warned.Len() > 0 {
			t.Errorf("%s: it says\n%s%swant %q and %q", tt.what, &out, &warned, tt.want, tt.warning)
		}
	}
}
