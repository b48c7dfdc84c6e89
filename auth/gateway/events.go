package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
)

// followPause is between two tries to read the events, or to make the stream of claims.
const followPause = 5 * time.Second

// eventStreams are the streams of events that the gateway reads and writes.
type eventStreams struct {
	bus       *bus.Bus
	source    string
	publisher *claims.Publisher
}

// openEvents connects to NATS if that is configured. It does not wait for a server.
func (g *Gateway) openEvents() error {
	conf := g.config.Events
	if len(conf.URLs) == 0 {
		return nil
	}
	connection, told := bus.NewMetrics(), claims.NewPublisherMetrics()
	b, err := bus.Connect(bus.Config{
		URLs: conf.URLs, Name: "pin-gateway " + g.config.Name, Cluster: conf.Cluster, Prefix: conf.Prefix,
		CredentialsFile: g.config.Resolve(conf.CredentialsFile), NKeyFile: g.config.Resolve(conf.NKeyFile),
		TLS:     bus.TLS{CAFile: g.config.Resolve(conf.CAFile), CertFile: g.config.Resolve(conf.CertFile), KeyFile: g.config.Resolve(conf.KeyFile)},
		Metrics: connection,
	})
	if err != nil {
		return err
	}
	g.closeLater(func(ctx context.Context) error {
		if err := b.Close(ctx); err != nil {
			logger.Debugf("closing the connection to NATS: %s", err)
		}
		return nil
	})
	g.events = &eventStreams{bus: b, source: events.Source(conf.Cluster), publisher: claims.NewPublisher(b, told)}
	if err := g.metrics.register(connection, told); err != nil {
		return fmt.Errorf("making metrics: %w", err)
	}
	return nil
}

// claims are told what becomes of requests, nil if nobody is.
func (g *Gateway) claims() pins.Claims {
	if g.events == nil {
		return nil
	}
	return g.events
}

// Tell implements pins.Claims.
func (e *eventStreams) Tell(ctx context.Context, all []pins.Claim) error {
	told := make([]events.Event, len(all))
	for i := range all {
		told[i] = events.ClaimEvent(e.source, typeOf(all[i].Fact), dataOf(&all[i]))
	}
	return e.publisher.Publish(ctx, told)
}

// prepare makes the stream of claims, so that who reads it finds one before there is a claim.
func (e *eventStreams) prepare(ctx context.Context) {
	said := ""
	for {
		err := e.publisher.Publish(ctx, nil)
		if err == nil || ctx.Err() != nil {
			return
		}
		if err.Error() != said {
			said = err.Error()
			logger.Warnf("claims cannot be told now, and are later: %s", said)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(followPause):
		}
	}
}

// typeOf is the type of an event that tells a fact.
func typeOf(f pins.Fact) events.Type {
	switch f {
	case pins.FactPinned:
		return events.ClaimPinned
	case pins.FactSized:
		return events.ClaimSized
	case pins.FactEnded:
		return events.ClaimRemoved
	default:
		return events.ClaimAdded
	}
}

func dataOf(c *pins.Claim) events.ClaimData {
	return events.ClaimData{
		Cid: c.CID, Owner: c.Tenant, RequestID: c.ID, Name: c.Name, Accepted: c.Created, Pinned: c.Pinned, Removed: c.Removed, Replicas: c.ReplMax, Size: c.Size,
	}
}

// claimed tells what tenants have and had, in the words of events.
type claimed struct{ requests *pins.Service }

// EachClaim implements admin.Claims.
func (c claimed) EachClaim(ctx context.Context, tenant string, endedSince time.Time, f func(events.ClaimData) error) error {
	return c.requests.EachClaim(ctx, tenant, endedSince, func(one pins.Claim) error {
		return f(*events.ClaimEvent("", typeOf(one.Fact), dataOf(&one)).Claim)
	})
}

// follow has the worker look at CIDs of which events tell, until ctx ends. Events only make
// it quicker: what they do not tell of is looked at by time.
func (e *eventStreams) follow(ctx context.Context, worker *pins.Worker) {
	said := ""
	for {
		err := e.tail(ctx, worker)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && err.Error() != said:
			said = err.Error()
			logger.Warnf("events are not received, statuses are asked for by time: %s", said)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(followPause):
		}
	}
}

func (e *eventStreams) tail(ctx context.Context, worker *pins.Worker) error {
	return consume.Tail(ctx, e.bus, time.Time{}, func(e events.Event, _ []byte, err error) bool {
		switch {
		case err != nil:
		case e.Pin != nil:
			worker.Touch(e.Pin.Cid)
		case e.Status != nil:
			worker.Sized(e.Status.Cid, e.Status.Size)
		}
		return true
	})
}
