package scylla

import (
	"sync"
	"time"

	"github.com/gocql/gocql"
)

// hosts chooses the host of each attempt: a replica in the local data centre
// first, then the other nodes of it, at last those that hang. The order is the
// driver's; what is ours is who is put behind, and when a session is ready.
type hosts struct {
	gocql.HostSelectionPolicy
	health *health
	// up is closed when the first host is connected.
	up   chan struct{}
	once sync.Once
}

func newHosts(localDC string, health *health) *hosts {
	local := gocql.DCAwareRoundRobinPolicy(localDC, gocql.HostPolicyOptionDisableDCFailover)
	return &hosts{
		HostSelectionPolicy: gocql.TokenAwareHostPolicy(nobodyIsNotLocal{local}, gocql.ShuffleReplicas()),
		health:              health,
		up:                  make(chan struct{}),
	}
}

// Pick is called by the driver for each attempt.
func (p *hosts) Pick(q gocql.ExecutableQuery) gocql.NextHost {
	return p.health.order(q.Context(), p.HostSelectionPolicy.Pick(q))
}

// AddHosts is called by the driver when a session opens: the ring is computed
// once for all hosts.
func (p *hosts) AddHosts(all []*gocql.HostInfo) {
	if bulk, ok := p.HostSelectionPolicy.(interface{ AddHosts([]*gocql.HostInfo) }); ok {
		bulk.AddHosts(all)
		return
	}
	for _, host := range all {
		p.AddHost(host)
	}
}

// HostUp is called by the driver when a host is connected.
func (p *hosts) HostUp(host *gocql.HostInfo) {
	p.HostSelectionPolicy.HostUp(host)
	p.once.Do(func() { close(p.up) })
}

// readyWait is how long HostUp, which the driver calls from elsewhere, may come
// after the connection it is about.
const readyWait = 100 * time.Millisecond

// Ready is called by the driver while a session opens, after each host that it
// has connected to or failed to. One connected host is enough: those that hang
// must not hold up a start.
func (p *hosts) Ready() bool {
	select {
	case <-p.up:
		return true
	case <-time.After(readyWait):
		return false
	}
}

// nobodyIsNotLocal keeps the driver alive while no host has tokens, which is so
// for a moment after all nodes have changed their addresses: its token-aware
// policy then takes nil for a replica and asks whether that is local, and the
// answer of its own policy is a crash (scylladb/gocql v1.18.0 and v1.19.0,
// tokenAwareHostPolicy.Pick).
type nobodyIsNotLocal struct{ gocql.HostSelectionPolicy }

// IsLocal reports whether the host is in the local data centre.
func (p nobodyIsNotLocal) IsLocal(host *gocql.HostInfo) bool {
	return host != nil && p.HostSelectionPolicy.IsLocal(host)
}
