package statetest

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"
)

// Sample is one pin and what is particular about it.
type Sample struct {
	Name string
	Pin  api.Pin
}

// Samples returns pins of every type and with every field set, also to its
// odd values. Every call returns the same pins, and no two of them have the
// same CID. They are as a client hands them over: what a store gives back
// differs (see package state).
func Samples(tb testing.TB) []Sample {
	tb.Helper()
	samples := append(typeSamples(), fieldSamples(tb)...)
	for i := range samples {
		samples[i].Pin.Cid = Cid(samples[i].Name)
	}
	return samples
}

// Cid returns the CID of a block that holds label: version 1, dag-pb,
// sha2-256.
func Cid(label string) api.Cid {
	return api.NewCid(cid.NewCidV1(cid.DagProtobuf, sum(label)))
}

// Peer returns a valid peer ID made from label.
func Peer(label string) peer.ID {
	return peer.ID(sum(label))
}

// sum is the sha2-256 multihash of label.
func sum(label string) multihash.Multihash {
	digest := sha256.Sum256([]byte(label))
	return append(multihash.Multihash{multihash.SHA2_256, sha256.Size}, digest[:]...)
}

func peers(n int) []peer.ID {
	ids := make([]peer.ID, n)
	for i := range ids {
		ids[i] = Peer(fmt.Sprint("peer ", i))
	}
	return ids
}

// pin returns an ordinary pin, changed by set.
func pin(set func(*api.Pin)) api.Pin {
	p := api.Pin{
		PinOptions:  api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 2, Name: "ordinary"},
		Type:        api.DataType,
		Allocations: peers(2),
		MaxDepth:    -1,
		Timestamp:   time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC),
	}
	set(&p)
	return p
}

// typeSamples has the pins that ipfs-cluster itself makes: by type, depth and
// placement. The last four belong together: a file that was added in shards.
func typeSamples() []Sample {
	ref := func(label string) *api.Cid {
		c := Cid(label)
		return &c
	}
	return []Sample{
		{"recursive", pin(func(*api.Pin) {})},
		{"direct", pin(func(p *api.Pin) {
			p.Mode, p.MaxDepth = api.PinModeDirect, 0
		})},
		{"depth limited", pin(func(p *api.Pin) { p.MaxDepth = 7 })},
		{"everywhere", pin(func(p *api.Pin) {
			p.ReplicationFactorMin, p.ReplicationFactorMax, p.Allocations = -1, -1, nil
		})},
		{"default factors", pin(func(p *api.Pin) {
			p.ReplicationFactorMin, p.ReplicationFactorMax = 0, 0
		})},
		{"no type", pin(func(p *api.Pin) { p.Type = 0 })},
		{"bad type", pin(func(p *api.Pin) { p.Type = api.BadType })},
		{"zero", api.Pin{}},
		{"meta", pin(func(p *api.Pin) {
			p.Type, p.MaxDepth, p.Reference, p.Allocations = api.MetaType, 0, ref("cluster dag"), nil
		})},
		{"cluster dag", pin(func(p *api.Pin) {
			p.Type, p.MaxDepth, p.Reference = api.ClusterDAGType, 0, ref("meta")
			p.ReplicationFactorMin, p.ReplicationFactorMax, p.Allocations = -1, -1, nil
		})},
		{"first shard", pin(func(p *api.Pin) { p.Type, p.MaxDepth = api.ShardType, 1 })},
		{"next shard", pin(func(p *api.Pin) {
			p.Type, p.MaxDepth, p.Reference = api.ShardType, 1, ref("first shard")
		})},
	}
}

// fieldSamples has the fields one by one, and then all of them in one pin.
func fieldSamples(tb testing.TB) []Sample {
	tb.Helper()
	nepal := time.FixedZone("Nepal", 5*3600+45*60)
	reversed := peers(3)
	reversed[0], reversed[2] = reversed[2], reversed[0]
	undefined := api.CidUndef
	metadata := map[string]string{"b": "2", "a": "1", "": "no key", "no value": "", "κλειδί": "τιμή\x00\n"}
	origins := []api.Multiaddr{
		origin(tb, "/ip4/192.0.2.7/tcp/4001/p2p/"+Peer("origin").String()),
		origin(tb, "/dns6/origin.example/udp/4001/quic-v1"),
	}
	return []Sample{
		{"metadata", pin(func(p *api.Pin) { p.Metadata = metadata })},
		{"origins", pin(func(p *api.Pin) { p.Origins = origins })},
		{"user allocations", pin(func(p *api.Pin) { p.UserAllocations = peers(2) })},
		{"update", pin(func(p *api.Pin) { p.PinUpdate = Cid("recursive") })},
		{"largest shard size", pin(func(p *api.Pin) { p.ShardSize = math.MaxUint64 })},
		{"largest factors", pin(func(p *api.Pin) {
			p.ReplicationFactorMin, p.ReplicationFactorMax = math.MaxInt32, math.MinInt32
		})},
		{"no name", pin(func(p *api.Pin) { p.Name = "" })},
		{"unicode name", pin(func(p *api.Pin) { p.Name = "Ünïcödé 名前 🐙 \u202eلا\x00'\";--" })},
		{"long name", pin(func(p *api.Pin) { p.Name = strings.Repeat("name ", 4000) })},
		{"many allocations", pin(func(p *api.Pin) { p.Allocations = peers(200) })},
		{"allocations in no order", pin(func(p *api.Pin) {
			p.Allocations = append(reversed, reversed[2])
		})},
		{"expires", pin(func(p *api.Pin) {
			p.ExpireAt = time.Date(2031, 1, 2, 3, 4, 5, 999_999_999, nepal)
		})},
		{"expires in the far future", pin(func(p *api.Pin) {
			p.ExpireAt = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
		})},
		{"expired", pin(func(p *api.Pin) { p.ExpireAt = time.Unix(1, 0) })},
		{"expired before 1970", pin(func(p *api.Pin) { p.ExpireAt = time.Unix(-86400, 0) })},
		{"expires at unix zero", pin(func(p *api.Pin) { p.ExpireAt = time.Unix(0, 0) })},
		{"timestamp with fraction and zone", pin(func(p *api.Pin) {
			p.Timestamp = time.Date(2026, 5, 6, 7, 8, 9, 123_456_789, nepal)
		})},
		{"no timestamp", pin(func(p *api.Pin) { p.Timestamp = time.Time{} })},
		{"empty, not nil", pin(func(p *api.Pin) {
			p.Allocations, p.UserAllocations = []peer.ID{}, []peer.ID{}
			p.Metadata, p.Origins, p.Reference = map[string]string{}, []api.Multiaddr{}, &undefined
		})},
		{"every field", pin(func(p *api.Pin) {
			reference := Cid("meta")
			p.PinOptions = api.PinOptions{
				ReplicationFactorMin: 2,
				ReplicationFactorMax: 5,
				Name:                 "every field",
				Mode:                 api.PinModeDirect,
				ShardSize:            1 << 20,
				UserAllocations:      peers(4),
				ExpireAt:             time.Date(2030, 6, 7, 8, 9, 10, 11, time.UTC),
				Metadata:             metadata,
				PinUpdate:            Cid("direct"),
				Origins:              origins,
			}
			p.Allocations, p.MaxDepth, p.Reference = peers(5), 0, &reference
		})},
	}
}

func origin(tb testing.TB, addr string) api.Multiaddr {
	tb.Helper()
	m, err := api.NewMultiaddr(addr)
	if err != nil {
		tb.Fatalf("multiaddress %s: %v", addr, err)
	}
	return m
}
