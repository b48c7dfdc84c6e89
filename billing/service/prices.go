package service

import (
	"context"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
)

// Prices says by which plans owners are billed: by one, whose version is that of each day. It is an
// api.Prices.
type Prices struct{ schedule plan.Schedule }

// NewPrices returns the prices of a plan.
func NewPrices(book *plan.Book, name string) (*Prices, error) {
	schedule, err := book.Schedule([]plan.Assignment{{From: 0, Plan: name}})
	if err != nil {
		return nil, fmt.Errorf("the plan of those who were given none: %w", err)
	}
	return &Prices{schedule}, nil
}

// Schedule implements api.Prices.
func (p *Prices) Schedule(context.Context, string) (plan.Schedule, error) { return p.schedule, nil }
