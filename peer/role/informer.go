package role

import (
	"context"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	rpc "github.com/libp2p/go-libp2p-gorpc"
)

// Informer is the only informer of an API peer, which must have one. Its metric
// is never published. Without valid metrics no pin is allocated to the peer.
type Informer struct{}

// Name returns the name of the metric.
func (Informer) Name() string { return "role" }

// GetMetrics returns one metric that is not valid.
func (i Informer) GetMetrics(context.Context) []api.Metric {
	return []api.Metric{{Name: i.Name(), Value: string(API)}}
}

// SetClient does nothing.
func (Informer) SetClient(*rpc.Client) {}

// Shutdown does nothing.
func (Informer) Shutdown(context.Context) error { return nil }
