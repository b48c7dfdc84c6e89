package bus

import (
	"context"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// ClaimStream returns the name of the stream of claims.
func (b *Bus) ClaimStream() string { return b.cfg.Prefix + "-claims" }

// ClaimSubject returns the subject of a shard in the stream of claims.
func (b *Bus) ClaimSubject(shard int) string { return b.cfg.Prefix + ".claims." + strconv.Itoa(shard) }

// ClaimSubjects returns the pattern of the subjects of all shards.
func (b *Bus) ClaimSubjects() string { return b.cfg.Prefix + ".claims.*" }

// EnsureClaims does for the stream of claims what Ensure does for those of events.
func (b *Bus) EnsureClaims(ctx context.Context) error {
	if err := b.checkPayload(); err != nil {
		return err
	}
	return b.ensure(ctx, jetstream.StreamConfig{
		Name: b.ClaimStream(), Description: "claims of the tenants of an ipfs-cluster", Subjects: []string{b.ClaimSubjects()},
	})
}

// FindClaims returns the stream of claims if it is there and ours, and changes nothing. Errors
// are those of Ensure.
func (b *Bus) FindClaims(ctx context.Context) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	return b.find(ctx, b.ClaimStream(), "gateway")
}
