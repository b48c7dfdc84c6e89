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
	known  knownHosts
	// up is closed when the first host is connected.
	up   chan struct{}
	once sync.Once
}

func newHosts(localDC string, health *health) *hosts {
	local := gocql.DCAwareRoundRobinPolicy(localDC, gocql.HostPolicyOptionDisableDCFailover)
	return &hosts{
		known:               knownHosts{localDC: localDC},
		HostSelectionPolicy: gocql.TokenAwareHostPolicy(nobodyIsNotLocal{local}, gocql.ShuffleReplicas()),
		health:              health,
		up:                  make(chan struct{}),
	}
}

// Pick is called by the driver for each attempt.
func (p *hosts) Pick(q gocql.ExecutableQuery) gocql.NextHost {
	return p.health.order(q.Context(), p.HostSelectionPolicy.Pick(q), &p.known)
}

// AddHost is called by the driver for a host that it learns of.
func (p *hosts) AddHost(host *gocql.HostInfo) {
	p.known.add(host)
	p.HostSelectionPolicy.AddHost(host)
}

// RemoveHost is called by the driver for a host that has left the cluster.
func (p *hosts) RemoveHost(host *gocql.HostInfo) {
	p.known.remove(host)
	p.HostSelectionPolicy.RemoveHost(host)
}

// AddHosts is called by the driver when a session opens: the ring is computed
// once for all hosts.
func (p *hosts) AddHosts(all []*gocql.HostInfo) {
	bulk, ok := p.HostSelectionPolicy.(interface{ AddHosts([]*gocql.HostInfo) })
	for _, host := range all {
		if ok {
			p.known.add(host)
		} else {
			p.AddHost(host)
		}
	}
	if ok {
		bulk.AddHosts(all)
	}
}

// HostUp is called by the driver when a host is connected, from elsewhere than AddHost and
// RemoveHost: it may be late, and about a host that was removed since.
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

// knownHosts are the hosts of the local data centre, whatever the driver's policy thinks of
// them. The driver tells its policy that a host went down and that it is up again from two
// goroutines: if the first comes last, the policy offers the host no more although it is
// connected, and where it is the only one, requests without a routing key find none until it
// goes down and up again. It is safe for concurrent use.
type knownHosts struct {
	localDC string
	mu      sync.Mutex
	hosts   map[string]*gocql.HostInfo // by id
}

func (k *knownHosts) add(host *gocql.HostInfo) {
	if host == nil || host.DataCenter() != k.localDC {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hosts == nil {
		k.hosts = make(map[string]*gocql.HostInfo)
	}
	k.hosts[host.HostID()] = host
}

// remove forgets a host, unless the node is known as another one by now: one that has changed
// its address is a new host with the same id.
func (k *knownHosts) remove(host *gocql.HostInfo) {
	if host == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hosts[host.HostID()] == host {
		delete(k.hosts, host.HostID())
	}
}

// up returns those that the driver takes for up.
func (k *knownHosts) up() []gocql.SelectedHost {
	k.mu.Lock()
	defer k.mu.Unlock()
	var up []gocql.SelectedHost
	for _, host := range k.hosts {
		if host.IsUp() {
			up = append(up, knownHost{host})
		}
	}
	return up
}

// knownHost is a host as it is offered for a request.
type knownHost struct{ host *gocql.HostInfo }

// Info implements gocql.SelectedHost.
func (h knownHost) Info() *gocql.HostInfo { return h.host }

// Token implements gocql.SelectedHost: any shard of it will do.
func (knownHost) Token() gocql.Token { return nil }

// Mark implements gocql.SelectedHost.
func (knownHost) Mark(error) {}

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
