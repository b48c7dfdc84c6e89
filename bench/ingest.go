package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ingest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// ingestBench counts events of claims on one side, and writes the rows that come of it by a bare
// driver loop on the other.
type ingestBench struct {
	db   *scylla.DB
	in   *ingest.Ingest
	made int
	// active are the rows of active that the bare loop has written.
	active map[string]bool
}

// ingestWidth is how many requests both sides have under way.
const ingestWidth = 64

func ingestPolicy() claim.Policy {
	return claim.Policy{Start: claim.StartAccepted, Replicas: claim.ReplicasRequested, DefaultReplicas: 2, AllReplicas: 3}
}

// measureIngest compares the counting of events with a bare loop that writes the same rows, one
// by one.
func measureIngest(ctx context.Context, srv *server, set settings) (tables []table, err error) {
	conf := keyspace.Default()
	conf.Hosts, conf.Port, conf.Keyspace = srv.Hosts(), srv.Port(), srv.newKeyspace()
	b := &ingestBench{active: make(map[string]bool)}
	if b.db, err = keyspace.Open(ctx, conf, nil); err != nil {
		return nil, err
	}
	defer b.db.Close()
	if b.in, err = ingest.New(ingest.Options{Store: ledger.New(ctx, b.db), Policy: ingestPolicy()}); err != nil {
		return nil, err
	}
	t := table{
		Title: "Events of claims counted", Left: "ingest", Right: "bare driver",
		Note: fmt.Sprintf("Claims that are added, sized and removed, %d events a turn in batches of %d, %d rounds in turns, %d requests at a time. "+
			"The bare loop writes the same rows one by one, reads nothing and does not wait for the end of a batch; 0.8 is promised.",
			set.Counted, claims.MaxBatch, set.CountRounds, ingestWidth),
	}
	for _, owners := range []int{1, 16, claims.MaxBatch} {
		r, err := b.compare(ctx, set, owners)
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, r)
	}
	return []table{t}, nil
}

// compare measures with claims of some owners, in turn.
func (b *ingestBench) compare(ctx context.Context, set settings, owners int) (row, error) {
	out := row{Name: fmt.Sprintf("of %d owners", owners), Unit: "events/s"}
	if owners == 1 {
		out.Name = "of one owner"
	}
	for round := -1; round < set.CountRounds; round++ { // the first warms up
		for turn := range 2 {
			side := sideOfTurn(round+1, turn)
			batches := b.batches(set.Counted, owners)
			began := time.Now()
			if err := []func(context.Context, [][]claims.Delivery) error{b.count, b.bare}[side](ctx, batches); err != nil {
				return out, err
			}
			if round >= 0 {
				out.add(side, float64(set.Counted)/time.Since(began).Seconds())
			}
		}
	}
	say("events counted, %s: %s", out.Name, out.lastPair())
	return out, nil
}

// batches makes events of new claims: of a batch of claims first those that add them, then those
// that size and those that remove them.
func (b *ingestBench) batches(n, owners int) (out [][]claims.Delivery) {
	now := time.Now().Truncate(time.Millisecond)
	for made := 0; made < n; made += 3 * claims.MaxBatch {
		known := make([]events.ClaimData, min(claims.MaxBatch, (n-made+2)/3))
		for i := range known {
			b.made++
			known[i] = events.ClaimData{
				Cid: fmt.Sprintf("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3o%011d", b.made), Owner: fmt.Sprint("owner ", b.made%owners),
				RequestID: fmt.Sprintf("request-%018d", b.made), Name: "a name", Replicas: 2,
				Accepted: now.Add(-time.Second), Pinned: now.Add(-time.Second), Removed: now, Size: int64(b.made),
			}
		}
		for _, t := range []events.Type{events.ClaimAdded, events.ClaimSized, events.ClaimRemoved} {
			batch := make([]claims.Delivery, len(known))
			for i, d := range known {
				batch[i] = claims.Delivery{Event: events.ClaimEvent("bench", t, d), Stored: now, Delivered: 1}
			}
			out = append(out, batch)
		}
	}
	return out
}

func (b *ingestBench) count(ctx context.Context, batches [][]claims.Delivery) error {
	for _, batch := range batches {
		if err := b.in.Claims(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// bare writes the rows of the events.
func (b *ingestBench) bare(ctx context.Context, batches [][]claims.Delivery) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(ingestWidth)
	write := func(text string, values ...any) {
		g.Go(func() error {
			return b.db.Session.Query(text, values...).WithContext(ctx).Consistency(gocql.Quorum).Idempotent(true).Exec()
		})
	}
	for _, batch := range batches {
		for i := range batch {
			if err := b.rows(&batch[i].Event, write); err != nil {
				return err
			}
		}
	}
	return g.Wait()
}

// rows writes the rows of one event: the claim, and those facts that it is the first to tell.
func (b *ingestBench) rows(e *events.Event, write func(text string, values ...any)) error {
	d := e.Claim
	terms, err := json.Marshal(ledger.Terms{Cid: d.Cid, Accepted: d.Accepted.UnixMilli(), Replicas: d.Replicas})
	if err != nil {
		return err
	}
	source, _ := ledger.SourceOf(e.Type)
	said := func(told bool, value int64) any {
		if !told {
			return gocql.UnsetValue
		}
		return map[int64]int{value: int(source)}
	}
	sum := sha256.Sum256([]byte(d.RequestID))
	hash := binary.BigEndian.Uint16(sum[:])
	write(updateClaim, 1_000_000_000_000_000-int64(source), d.Name, map[string]int{string(terms): int(source)},
		said(!d.Pinned.IsZero(), d.Pinned.UnixMilli()), said(!d.Removed.IsZero(), d.Removed.UnixMilli()), said(d.Size > 0, d.Size), gocql.UnsetValue,
		d.Owner, int(hash%4096), d.RequestID)
	facts, err := claim.Facts(*d, ingestPolicy())
	if err != nil {
		return err
	}
	first := map[ledger.Source]map[claim.Kind]bool{
		ledger.Added: {claim.KindStart: true}, ledger.Sized: {claim.KindSize: true}, ledger.Removed: {claim.KindStop: true, claim.KindFree: true},
	}[source]
	now := time.Now().UnixMilli()
	for _, f := range facts {
		if !first[f.Kind] {
			continue
		}
		day := usage.DayOf(f.At)
		bucket := int((f.At-day*usage.DayMS)/(usage.DayMS/96))*16 + int(hash%16)
		if key := fmt.Sprint(d.Owner, day, bucket); !b.active[key] {
			b.active[key] = true
			write(insertActive, day, ledger.ShardOf(d.Owner), d.Owner, bucket)
		}
		bytes := f.Bytes
		if bytes == nil {
			bytes = new(big.Int)
		}
		write(insertFact, d.Owner, day, bucket, f.ID[:], f.At, bytes, f.Pins, string(f.Kind), f.RequestID, f.Cid, time.UnixMilli(now), 1_000_000_000_000_000-now)
	}
	return nil
}
