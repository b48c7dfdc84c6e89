package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
)

// Why something is put aside, beside the reasons of package claim.
const (
	ReasonMalformed claim.Reason = "malformed" // no event
	ReasonUnknown   claim.Reason = "unknown"   // an event of a type that this build does not know
)

// reasons are all of them that there are here.
func reasons() []claim.Reason {
	return []claim.Reason{
		claim.ReasonOwner, claim.ReasonRequest, claim.ReasonCid, claim.ReasonSize, claim.ReasonLarge, claim.ReasonReplicas,
		claim.ReasonTime, claim.ReasonFuture, claim.ReasonOld, claim.ReasonConflict, ReasonMalformed, ReasonUnknown,
	}
}

func refused(why claim.Reason, err error) error {
	return &claim.RefusedError{Reason: why, Detail: err.Error()}
}

// item is what is put aside.
type item struct {
	why     error
	owner   string
	payload []byte
	stored  time.Time
}

// putAside puts items into the quarantine. What is wrong with one that is no *claim.RefusedError
// is wrong with this program: it is returned.
func (in *Ingest) putAside(ctx context.Context, items []item) error {
	for _, i := range items {
		var why *claim.RefusedError
		if !errors.As(i.why, &why) {
			return i.why
		}
		if err := in.store.Quarantine(ctx, string(why.Reason)+": "+why.Detail, i.owner, i.payload, i.stored); err != nil {
			return err
		}
		in.metrics.putAside(why.Reason)
	}
	return nil
}
