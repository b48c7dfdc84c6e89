package scylla

import (
	"net"
	"testing"

	"github.com/gocql/gocql"
)

// murmur is the partitioner that both engines use.
const murmur = "org.apache.cassandra.dht.Murmur3Partitioner"

// hostOf makes a host as the driver learns of it from the system tables.
func hostOf(addr, dc string, tokens ...string) *gocql.HostInfo {
	h := gocql.HostInfoBuilder{
		HostId: gocql.MustRandomUUID().String(), ConnectAddress: net.ParseIP(addr), Port: 9042,
		DataCenter: dc, Rack: "rack1", Tokens: tokens,
	}.Build()
	return &h
}

// TestHosts asks for a node in every state in which the policy of a
// session can be. The driver's own policy panics where the ring has no tokens.
func TestHosts(t *testing.T) {
	a, b, remote := hostOf("127.0.0.1", "dc1", "-100"), hostOf("127.0.0.2", "dc1", "100"), hostOf("127.0.0.3", "dc2", "0")
	bare := hostOf("127.0.0.4", "dc1")
	for _, tt := range []struct {
		name string
		do   func(p gocql.HostSelectionPolicy)
		want int // nodes that are tried
	}{
		{"nothing is known", func(gocql.HostSelectionPolicy) {}, 0},
		{"no node is known", func(p gocql.HostSelectionPolicy) { p.SetPartitioner(murmur) }, 0},
		{"the partitioner is not known", func(p gocql.HostSelectionPolicy) { p.AddHost(a); p.AddHost(b) }, 2},
		{"the only node has no tokens", func(p gocql.HostSelectionPolicy) { p.SetPartitioner(murmur); p.AddHost(bare) }, 1},
		{"one node has no tokens", func(p gocql.HostSelectionPolicy) { p.SetPartitioner(murmur); p.AddHost(bare); p.AddHost(a) }, 2},
		{"the last node was removed", func(p gocql.HostSelectionPolicy) { p.SetPartitioner(murmur); p.AddHost(a); p.RemoveHost(a) }, 0},
		{"only the node without tokens is left", func(p gocql.HostSelectionPolicy) {
			p.SetPartitioner(murmur)
			p.AddHost(a)
			p.AddHost(bare)
			p.RemoveHost(a)
		}, 1},
		{"a node came back", func(p gocql.HostSelectionPolicy) {
			p.SetPartitioner(murmur)
			p.AddHost(a)
			p.RemoveHost(a)
			p.AddHost(b)
		}, 1},
		{"another data centre", func(p gocql.HostSelectionPolicy) { p.SetPartitioner(murmur); p.AddHost(a); p.AddHost(remote) }, 1},
		{"only another data centre", func(p gocql.HostSelectionPolicy) { p.SetPartitioner(murmur); p.AddHost(remote) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			session := &gocql.Session{}
			p := newHosts("dc1", newHealth(nil, nil, nobody))
			p.Init(session)
			tt.do(p)
			seen := make(map[string]bool)
			next := p.Pick(session.Query("SELECT").RoutingKey([]byte("key")))
			for h := next(); h != nil; h = next() {
				if h.Info() == nil {
					t.Fatal("a request is sent to a nil host")
				}
				if h.Info().DataCenter() != "dc1" {
					t.Errorf("a request leaves the data centre, to %s", h.Info().ConnectAddress())
				}
				seen[h.Info().HostID()] = true
			}
			if len(seen) != tt.want {
				t.Errorf("%d nodes are tried, want %d", len(seen), tt.want)
			}
		})
	}
}

// TestLostHost: a host that is up is asked although the driver has told its policy last that
// it went down.
func TestLostHost(t *testing.T) {
	lost, removed := hostOf("127.0.0.1", "dc1"), hostOf("127.0.0.2", "dc1")
	p := newHosts("dc1", newHealth(nil, nil, nobody))
	p.Init(&gocql.Session{})
	p.AddHosts([]*gocql.HostInfo{lost, removed, hostOf("127.0.0.3", "dc2")})
	p.HostUp(lost)
	p.HostDown(lost)
	p.RemoveHost(removed)
	q := (&gocql.Session{}).Query("SELECT").RoutingKey([]byte("key")).WithContext(WithTrail(t.Context()))
	next := p.Pick(q)
	if h := next(); h == nil || h.Info() != lost {
		t.Fatalf("%v is asked, and not the host that is up", h)
	}
	if h := next(); h != nil {
		t.Errorf("%v is asked, too", h.Info())
	}
}

// TestMovedHost: a node that has changed its address is asked there, in whatever order the
// driver tells of its two hosts, and no more once it is removed.
func TestMovedHost(t *testing.T) {
	old := hostOf("127.0.0.1", "dc1")
	builder := gocql.HostInfoBuilder{HostId: old.HostID(), ConnectAddress: net.ParseIP("127.0.0.2"), Port: 9042, DataCenter: "dc1", Rack: "rack1"}
	moved := builder.Build()
	for name, tell := range map[string]func(*hosts){
		"removed first":        func(p *hosts) { p.RemoveHost(old); p.AddHost(&moved) },
		"removed last":         func(p *hosts) { p.AddHost(&moved); p.RemoveHost(old) },
		"and the old is late":  func(p *hosts) { p.RemoveHost(old); p.AddHost(&moved); p.HostUp(old) },
		"and both are late":    func(p *hosts) { p.AddHost(&moved); p.HostUp(old); p.RemoveHost(old) },
		"and it was connected": func(p *hosts) { p.RemoveHost(old); p.AddHost(&moved); p.HostUp(&moved) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newHosts("dc1", newHealth(nil, nil, nobody))
			p.Init(&gocql.Session{})
			p.AddHosts([]*gocql.HostInfo{old})
			tell(p)
			if up := p.known.up(); len(up) != 1 || up[0].Info() != &moved {
				t.Fatalf("known are %v, want the node at its new address", up)
			}
			p.RemoveHost(&moved)
			if up := p.known.up(); len(up) != 0 {
				t.Errorf("once it is removed, %v is known", up)
			}
		})
	}
}
