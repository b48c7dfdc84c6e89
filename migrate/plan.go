package migrate

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// The ways in which pins are written.
const (
	PathBulk        = "bulk"
	PathConditional = "conditional"
)

// Plan is what a run would find and do.
type Plan struct {
	// Source is the ID of the source.
	Source   string   `json:"source"`
	Warnings []string `json:"warnings,omitempty"`
	Change   Change   `json:"change"`
	// Records is how many records the source has. Of these Bad are no pins,
	// TooLarge are pins that are larger than MaxPinBytes, and Pins are the others,
	// of which the other counts are. A CID that is there twice counts twice.
	Records    int64       `json:"records"`
	Pins       int64       `json:"pins"`
	Bad        int64       `json:"bad"`
	BadRecords []BadRecord `json:"bad_records,omitempty"`
	// TooLargePins are the first of them.
	TooLarge     int64      `json:"too_large"`
	TooLargePins []LargePin `json:"too_large_pins,omitempty"`
	MaxPinBytes  int        `json:"max_pin_bytes"`
	// Bytes is the size of all pins as they would be stored.
	Bytes int64 `json:"bytes"`
	// Changed is how many pins the Change makes other ones.
	Changed int64 `json:"changed"`
	// Types counts pins by the name of their type, as it is in JSON.
	Types map[string]int64 `json:"types"`
	// Replication counts pins by their replication factors, after the Change.
	Replication []PlanReplication `json:"replication"`
	// Everywhere is how many pins belong on every peer, after the Change.
	Everywhere int64 `json:"everywhere"`
	// Expiring is how many pins have an expiry. That of Expired has passed.
	Expiring int64 `json:"expiring"`
	Expired  int64 `json:"expired"`
	// Peers counts pins by the peers they are allocated to, after the
	// Change but for the new names. Pins that belong everywhere are not in it.
	Peers []PlanPeer `json:"peers"`
	// Unallocated is how many pins belong on no peer. Types that no peer
	// pins, such as meta pins, are in it.
	Unallocated int64 `json:"unallocated"`

	// Live says that the pinset is in use, since when, and who was first.
	Live      bool      `json:"live"`
	LiveSince time.Time `json:"live_since,omitzero"`
	LiveBy    string    `json:"live_by,omitempty"`
	// Own is how many pins of the pinset this migration has written in bulk.
	// Others is the rest.
	Own    int64 `json:"own"`
	Others int64 `json:"others"`
	// Path is PathBulk or PathConditional, and Reason says why.
	Path   string `json:"path"`
	Reason string `json:"reason"`
	// Refused says why Run would not begin, and what to do. It is empty
	// otherwise.
	Refused string `json:"refused,omitempty"`
	// Run is the number the run would have. With Resumes it would go on after
	// ResumesFrom records.
	Run         int64 `json:"run"`
	Resumes     bool  `json:"resumes"`
	ResumesFrom int64 `json:"resumes_from"`
	// Earlier are all migrations into the pinset, of any source.
	Earlier []PlanMigration `json:"earlier,omitempty"`
}

// PlanReplication is a pair of replication factors, and how many pins have it.
type PlanReplication struct {
	Min  int   `json:"min"`
	Max  int   `json:"max"`
	Pins int64 `json:"pins"`
}

// PlanPeer is a peer, and how many pins are allocated to it. Mapped is its new name
// by Change.Peers, empty if it has none.
type PlanPeer struct {
	ID     peer.ID `json:"id"`
	Pins   int64   `json:"pins"`
	Mapped peer.ID `json:"mapped,omitempty"`
}

// PlanMigration is a migration that was made, or begun.
type PlanMigration struct {
	Source  string               `json:"source"`
	Run     int64                `json:"run"`
	Phase   state.MigrationPhase `json:"phase"`
	Bulk    bool                 `json:"bulk"`
	Change  string               `json:"change"`
	Records int64                `json:"records"`
	Started time.Time            `json:"started"`
	Updated time.Time            `json:"updated"`
}

// MakePlan reads the whole of src and looks at dst, and writes nothing. It reads
// all of dst, too, to count its pins. An error means that there is no plan; what a
// run would be refused for is in the plan.
func MakePlan(ctx context.Context, src source.Source, dst Target, opts Options) (*Plan, error) {
	opts, err := opts.checked()
	if err != nil {
		return nil, err
	}
	meter := newMeter(opts.Progress)
	route, err := findRoute(ctx, src, dst, opts, meter, true)
	if err != nil {
		return nil, fmt.Errorf("planning the migration of %s: %w", src.ID(), err)
	}
	p := newPlan(src, opts, route)
	total, err := countSource(ctx, src, meter)
	if err != nil {
		return nil, fmt.Errorf("planning the migration of %s: %w", src.ID(), err)
	}
	if err := p.read(ctx, src, total, meter); err != nil {
		return nil, fmt.Errorf("planning the migration of %s: %w", src.ID(), err)
	}
	if p.TooLarge > 0 && !opts.SkipTooLarge && p.Refused == "" {
		large := largePins{p.TooLarge, p.TooLargePins}
		p.Refused = large.refusal().Error()
	}
	return p, nil
}

// newPlan returns a plan of all that is known before the source is read.
func newPlan(src source.Source, opts Options, route *route) *Plan {
	p := &Plan{
		Source:    src.ID(),
		Warnings:  src.Warnings(),
		Change:    opts.Change,
		Types:     make(map[string]int64),
		Live:      route.live.Yes(),
		LiveSince: route.live.Since,
		LiveBy:    route.live.By,
		Own:       route.ownPins,
		Others:    route.othersPins,
		Path:      PathConditional,
		Reason:    route.reason,
		Run:       route.m.Run,
		Resumes:   route.resumed,

		MaxPinBytes: state.MaxPinBytes,
	}
	if route.m.Bulk {
		p.Path = PathBulk
	}
	if route.refused != nil {
		p.Refused = route.refused.Error()
	}
	if route.resumed {
		p.ResumesFrom = route.m.Read
	}
	for _, m := range route.all {
		p.Earlier = append(p.Earlier, PlanMigration{
			Source: m.ID, Run: m.Run, Phase: m.Phase, Bulk: m.Bulk, Change: m.Options,
			Records: m.Read, Started: m.Started, Updated: m.Updated,
		})
	}
	return p
}
