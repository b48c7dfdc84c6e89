package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/embedded"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/relay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// relayBench is a pinset with events, and a NATS server.
type relayBench struct {
	store *scyllastate.Store
	bus   *bus.Bus
	made  int
}

// measureRelay compares a relay, which reads what is to be told from the database, with a
// bare publisher of the same messages to the same server.
func measureRelay(ctx context.Context, srv *server, set settings) (tables []table, err error) {
	t := table{
		Title: "Events told", Left: "relay", Right: "bare publisher",
		Note: fmt.Sprintf("%d events of as many pins a turn, one NATS server in the process, %d rounds in turns. The relay reads the feeds and the pins.", set.Told, set.TellRounds),
	}
	for _, sync := range []struct {
		name     string
		interval time.Duration
	}{{"written to disk before it is acknowledged", 0}, {"written to disk every 2 minutes", 2 * time.Minute}} {
		r, err := tellOn(ctx, srv, set, sync.interval)
		if err != nil {
			return nil, err
		}
		r.Name = sync.name
		t.Rows = append(t.Rows, r)
	}
	return []table{t}, nil
}

// tellOn measures with a server that writes to disk so often.
func tellOn(ctx context.Context, srv *server, set settings, sync time.Duration) (out row, err error) {
	out.Unit = "events/s"
	folder, err := os.MkdirTemp("", "bench-events-")
	if err != nil {
		return out, fmt.Errorf("making a folder for NATS: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	server, err := embedded.Start(ctx, embedded.Config{Folder: folder, Listen: "127.0.0.1:0", SyncInterval: sync})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, server.Close(context.WithoutCancel(ctx))) }()
	b, err := bus.Connect(bus.Config{URLs: []string{server.URL()}, Cluster: "bench"})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, b.Close(context.WithoutCancel(ctx))) }()
	conf, err := srv.config()
	if err != nil {
		return out, err
	}
	store, err := scyllastate.Open(ctx, conf)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.StartEvents(ctx); err != nil {
		return out, err
	}
	bench := &relayBench{store: store, bus: b}
	for round := -1; round < set.TellRounds; round++ { // the first warms up
		if err := bench.write(ctx, set.Told); err != nil {
			return out, err
		}
		told, err := bench.tell(ctx, set.Told)
		if err != nil {
			return out, err
		}
		bare, err := bench.publish(ctx, set.Told)
		if err != nil {
			return out, err
		}
		if round >= 0 {
			out.add(0, told)
			out.add(1, bare)
		}
	}
	say("events told: %s", out.lastPair())
	return out, nil
}

// write makes pins, whose events wait.
func (b *relayBench) write(ctx context.Context, n int) error {
	holders, err := newPeers(1)
	if err != nil {
		return err
	}
	pins := make([]api.Pin, n)
	for i := range pins {
		s, err := newSample("told", b.made+i, holders...)
		if err != nil {
			return err
		}
		pins[i] = s.pin
	}
	b.made += n
	return addAll(ctx, b.store, pins)
}

// tell returns how many events a relay tells in a second.
func (b *relayBench) tell(ctx context.Context, n int) (rate float64, err error) {
	r, err := relay.New(relay.Options{Events: b.store, Bus: b.bus, Cluster: "bench", Holder: nats.NewInbox()})
	if err != nil {
		return 0, err
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	defer func() { stop(); running.Wait() }()
	// From the first event on: how soon a relay takes its shards is another matter.
	var first time.Time
	var before uint64
	for {
		told := r.Stats().Published
		switch {
		case told >= uint64(n): //nolint:gosec // a count
			return float64(told-before) / time.Since(first).Seconds(), nil
		case told > 0 && first.IsZero():
			first, before = time.Now(), told
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// publish returns how many messages a publisher that does nothing else stores in a second:
// those that the relay has published last.
func (b *relayBench) publish(ctx context.Context, n int) (float64, error) {
	stream, err := b.bus.JetStream().Stream(ctx, b.bus.Stream())
	if err != nil {
		return 0, fmt.Errorf("looking for the stream: %w", err)
	}
	last := stream.CachedInfo().State.LastSeq
	messages := make([]*nats.Msg, 0, n)
	for seq := last; len(messages) < n && seq > 0; seq-- {
		m, err := stream.GetMsg(ctx, seq)
		if err != nil {
			return 0, fmt.Errorf("reading what was published: %w", err)
		}
		if m.Header.Get(bus.KindHeader) == string(bus.KindEvent) {
			m.Header.Set(jetstream.MsgIDHeader, "bare "+nats.NewInbox())
			messages = append(messages, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		}
	}
	js := b.bus.JetStream()
	began := time.Now()
	acks := make([]jetstream.PubAckFuture, 0, n)
	for i, m := range messages {
		if i >= bareWindow {
			if err := acked(ctx, acks[i-bareWindow]); err != nil {
				return 0, err
			}
		}
		ack, err := js.PublishMsgAsync(m)
		if err != nil {
			return 0, fmt.Errorf("publishing: %w", err)
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks[max(0, len(acks)-bareWindow):] {
		if err := acked(ctx, ack); err != nil {
			return 0, err
		}
	}
	return float64(len(messages)) / time.Since(began).Seconds(), nil
}

// bareWindow is how many messages the bare publisher has on their way: as many as a relay
// of all shards.
const bareWindow = 1024

func acked(ctx context.Context, ack jetstream.PubAckFuture) error {
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		return fmt.Errorf("publishing: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}
