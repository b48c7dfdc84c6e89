package bus

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// BillingStream returns the name of the stream of what billing tells.
func (b *Bus) BillingStream() string { return b.cfg.Prefix + "-billing" }

// BillingSubject returns the subject of a kind of notice, as "invoice.paid".
func (b *Bus) BillingSubject(kind string) string { return b.cfg.Prefix + ".billing." + kind }

// BillingSubjects returns the pattern of the subjects of all kinds.
func (b *Bus) BillingSubjects() string { return b.cfg.Prefix + ".billing.>" }

// EnsureBilling does for the stream of what billing tells what Ensure does for those of events.
func (b *Bus) EnsureBilling(ctx context.Context) error {
	if err := b.checkPayload(); err != nil {
		return err
	}
	return b.ensure(ctx, jetstream.StreamConfig{
		Name: b.BillingStream(), Description: "what the billing of an ipfs-cluster tells", Subjects: []string{b.BillingSubjects()},
	})
}
