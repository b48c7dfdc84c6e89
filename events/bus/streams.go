package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// duplicates is JetStream's window for messages that its client sends again.
	duplicates = 2 * time.Minute
	// maxMessage is above an event with its headers, and is what servers accept by default.
	maxMessage = 1 << 20
	// wantedReplicas is how many copies a stream has where there are as many servers.
	wantedReplicas = 3
)

// The metadata that mark a stream, or a consumer, as ours.
const (
	ownerKey   = "owner"
	owner      = "ipfs-cluster-scylla"
	clusterKey = "cluster"
)

// Mark returns the metadata of all that is this cluster's in JetStream.
func (b *Bus) Mark() map[string]string {
	return map[string]string{ownerKey: owner, clusterKey: b.cfg.Cluster}
}

// CheckMark returns an error that matches ErrNotOurs for the metadata of something that
// is not this cluster's.
func (b *Bus) CheckMark(what string, metadata map[string]string) error {
	switch {
	case metadata[ownerKey] != owner:
		return fmt.Errorf("%s is %w: it was not made by this program. Use another prefix, or give it the metadata %s=%s and %s=%s",
			what, ErrNotOurs, ownerKey, owner, clusterKey, b.cfg.Cluster)
	case metadata[clusterKey] != b.cfg.Cluster:
		return fmt.Errorf("%s is %w: it belongs to the cluster %q, and this is %q. Use another prefix",
			what, ErrNotOurs, metadata[clusterKey], b.cfg.Cluster)
	}
	return nil
}

// Ensure makes the streams that are missing, and gives those that are there the limits of
// the configuration. Where replicas are to be as many as fit, it adds those for which
// there are servers now. Errors match ErrNotOurs, ErrNoJetStream, ErrNoStorage or
// ErrNoRights where one of these is the reason.
func (b *Bus) Ensure(ctx context.Context) error {
	if err := b.checkPayload(); err != nil {
		return err
	}
	for _, cfg := range []jetstream.StreamConfig{
		{Name: b.Stream(), Description: "events of an ipfs-cluster", Subjects: []string{b.Subjects()}},
		{Name: b.DeadStream(), Description: "events that consumers of an ipfs-cluster could not handle", Subjects: []string{b.DeadSubject("*")}},
	} {
		if err := b.ensure(ctx, cfg); err != nil {
			return err
		}
	}
	return nil
}

// checkPayload returns an error if events may be too large for the server.
func (b *Bus) checkPayload() error {
	if got := b.conn.MaxPayload(); b.conn.IsConnected() && got < maxMessage {
		return fmt.Errorf("the NATS server takes messages of %d bytes, and events need %d: raise its max_payload: %w", got, maxMessage, ErrNoStorage)
	}
	return nil
}

// Find returns the stream of events if both streams are there and ours, and changes nothing.
// Errors are those of Ensure.
func (b *Bus) Find(ctx context.Context) (events jetstream.Stream, err error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	for _, name := range []string{b.DeadStream(), b.Stream()} {
		if events, err = b.find(ctx, name, "peer"); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// find returns a stream that is ours, and which maker makes.
func (b *Bus) find(ctx context.Context, name, maker string) (jetstream.Stream, error) {
	stream, err := b.look(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("there is no stream %s: no %s with events has made it yet: %w", name, maker, err)
	}
	if err == nil {
		err = b.CheckMark("the stream "+name, stream.CachedInfo().Config.Metadata)
	}
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// look returns a stream, whoever's it is. The error matches jetstream.ErrStreamNotFound
// where that is the reason.
func (b *Bus) look(ctx context.Context, name string) (jetstream.Stream, error) {
	start := time.Now()
	stream, err := b.js.Stream(ctx, name)
	if err != nil {
		return nil, b.Explain(err, start, "looking for the stream %s", name)
	}
	return stream, nil
}

func (b *Bus) ensure(ctx context.Context, ours jetstream.StreamConfig) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	stream, err := b.look(ctx, ours.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return b.create(ctx, b.limit(ours))
	case err != nil:
		return err
	}
	there := stream.CachedInfo().Config
	if err := b.CheckMark("the stream "+ours.Name, there.Metadata); err != nil {
		return err
	}
	wanted := b.limit(there)
	wanted.Description, wanted.Subjects = ours.Description, ours.Subjects
	if b.cfg.Replicas == 0 {
		wanted.Replicas = max(wanted.Replicas, there.Replicas)
	}
	if same(there, wanted) {
		return nil
	}
	return b.update(ctx, there, wanted)
}

// limit returns a stream's configuration with the settings that are ours to make.
func (b *Bus) limit(cfg jetstream.StreamConfig) jetstream.StreamConfig {
	cfg.Storage, cfg.Retention, cfg.Discard = jetstream.FileStorage, jetstream.LimitsPolicy, jetstream.DiscardOld
	cfg.MaxAge, cfg.MaxBytes, cfg.MaxMsgSize, cfg.Duplicates = b.cfg.MaxAge, b.cfg.MaxBytes, maxMessage, min(duplicates, b.cfg.MaxAge)
	cfg.AllowDirect = true
	cfg.Metadata = maps.Clone(cfg.Metadata)
	if cfg.Metadata == nil {
		cfg.Metadata = make(map[string]string)
	}
	maps.Copy(cfg.Metadata, b.Mark())
	cfg.Replicas = b.cfg.Replicas
	if cfg.Replicas == 0 {
		cfg.Replicas = wantedReplicas
	}
	return cfg
}

// same compares what Ensure sets.
func same(a, b jetstream.StreamConfig) bool {
	return a.MaxAge == b.MaxAge && a.MaxBytes == b.MaxBytes && a.MaxMsgSize == b.MaxMsgSize && a.Duplicates == b.Duplicates &&
		a.Replicas == b.Replicas && a.Discard == b.Discard && a.AllowDirect == b.AllowDirect &&
		a.Description == b.Description && slices.Equal(a.Subjects, b.Subjects)
}

// create makes a stream, with one copy where there are no servers for more and the
// configuration leaves it open.
func (b *Bus) create(ctx context.Context, cfg jetstream.StreamConfig) error {
	start := time.Now()
	_, err := b.js.CreateStream(ctx, cfg)
	if b.cfg.Replicas == 0 && tooFewServers(err) {
		logger.Warnf("the stream %s has one copy: %s", cfg.Name, err)
		cfg.Replicas = 1
		_, err = b.js.CreateStream(ctx, cfg)
	}
	switch {
	case err == nil:
		logger.Infof("made the stream %s with %d replicas", cfg.Name, cfg.Replicas)
		return nil
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
		return fmt.Errorf("making the stream %s: somebody else makes it: %w", cfg.Name, err)
	}
	return b.Explain(err, start, "making the stream %s", cfg.Name)
}

// update changes a stream. If it cannot get more copies by itself it keeps those it has.
func (b *Bus) update(ctx context.Context, there, wanted jetstream.StreamConfig) error {
	start := time.Now()
	_, err := b.js.UpdateStream(ctx, wanted)
	if b.cfg.Replicas == 0 && tooFewServers(err) {
		wanted.Replicas = there.Replicas
		if same(there, wanted) {
			return nil
		}
		_, err = b.js.UpdateStream(ctx, wanted)
	}
	if err != nil {
		return b.Explain(err, start, "giving the stream %s its limits", wanted.Name)
	}
	logger.Infof("the stream %s has got other limits: %d replicas, %s, %d bytes", wanted.Name, wanted.Replicas, wanted.MaxAge, wanted.MaxBytes)
	return nil
}

// tooFewServers tells that a number of replicas is more than that of the servers.
func tooFewServers(err error) bool { return hasCode(err, codeReplicasUnsupported, codeNoPeers) }
