package service

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// statusWait is how long events status waits for the database.
const statusWait = 15 * time.Second

// feedsReport is what the database says of events.
type feedsReport struct {
	Since time.Time `json:"since,omitzero"`
	// Told is how far those of each shard are told, zero for one that no relay has read
	// yet. Waiting is how many rows come after it, and WaitingMore says that there may be
	// more than were counted.
	Told        []time.Time `json:"told,omitempty"`
	Waiting     int         `json:"waiting"`
	WaitingMore bool        `json:"waiting_more,omitzero"`
}

// seeFeeds reads how far the events in the database are told.
func seeFeeds(cfg scyllastate.Config) (report feedsReport, err error) {
	if cfg.ConnectTimeout == 0 || cfg.ConnectTimeout > statusWait {
		cfg.ConnectTimeout = statusWait
	}
	err = withStore(&cfg, scyllastate.OpenExisting, func(ctx context.Context, store *scyllastate.Store) (err error) {
		if report.Since = store.EventsSince(); report.Since.IsZero() {
			return nil
		}
		if report.Told, err = store.EventPositions(ctx); err != nil {
			return err
		}
		for shard, position := range report.Told {
			n, more, err := store.CountEvents(ctx, shard, position)
			if err != nil {
				return err
			}
			report.Waiting += n
			report.WaitingMore = report.WaitingMore || more
		}
		return nil
	})
	return report, err
}

// print writes the part of events status that is about the database.
func (r feedsReport) print(w io.Writer, now time.Time) {
	if r.Since.IsZero() {
		fmt.Fprintln(w, "events\tnone in this keyspace yet: a peer makes them when it starts with this configuration")
		return
	}
	switch oldest, never := behind(r.Told); {
	case never > 0:
		fmt.Fprintf(w, "events\tsince %s; %d of %d shards are not read by a relay yet\n", r.Since.UTC().Format(time.RFC3339), never, len(r.Told))
	default:
		fmt.Fprintf(w, "events\tsince %s; told up to %s ago\n", r.Since.UTC().Format(time.RFC3339), now.Sub(oldest).Round(time.Second))
	}
	number := strconv.Itoa(r.Waiting)
	if r.WaitingMore {
		number = "at least " + number
	}
	fmt.Fprintf(w, "rows after that\t%s; those of the last minutes may be told already\n", number)
}

// warn says which feeds are so far behind that their rows may run out before they are told.
func (r feedsReport) warn(w io.Writer, now time.Time) {
	if r.Since.IsZero() {
		return
	}
	var late []string
	longest := time.Duration(0)
	for shard, position := range r.Told {
		if position.Before(r.Since) { // there was nothing before
			position = r.Since
		}
		if lag := now.Sub(position); lag > scyllastate.EventsKept/2 {
			late, longest = append(late, state.EventFeedName(shard)), max(longest, lag)
		}
	}
	if len(late) > 0 {
		fmt.Fprintf(w, "warning: %d of %d feeds were not told for up to %s, and their rows are kept for %s: what is not told by then is lost to who receives events: %s\n",
			len(late), len(r.Told), longest.Round(time.Minute), scyllastate.EventsKept, strings.Join(late, ", "))
	}
}

// behind returns the oldest of some positions, and how many are not set.
func behind(positions []time.Time) (oldest time.Time, never int) {
	for _, p := range positions {
		switch {
		case p.IsZero():
			never++
		case oldest.IsZero() || p.Before(oldest):
			oldest = p
		}
	}
	return oldest, never
}
