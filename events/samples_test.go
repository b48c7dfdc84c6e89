package events

import (
	"encoding/binary"
	"testing"
	"time"
)

const (
	sampleCid   = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
	samplePeer  = "12D3KooWSQUrkPcFVL4kKfKLuLSJRDwBuhFV2pWyVLkAxqHFKHbD"
	sampleOther = "12D3KooWBXcAtxWJmDVJSuDeXC7Jp4VfBbsgQQPSxYwT73vLDQNG"
	sampleTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

// sampleTime is when the sample pin is accepted.
func sampleTime() time.Time { return time.Date(2026, 11, 27, 10, 15, 30, 123456700, time.UTC) }

// uuidAt makes a timeuuid, as RFC 9562 lays it out.
func uuidAt(at time.Time) [16]byte {
	t := uint64(at.Unix()+12219292800)*1e7 + uint64(at.Nanosecond()/100)
	uuid := [16]byte{8: 0x9a, 9: 0x1c, 10: 0x02, 11: 0x42, 12: 0xac, 13: 0x12, 14: 0x00, 15: 0x02}
	binary.BigEndian.PutUint32(uuid[0:], uint32(t))
	binary.BigEndian.PutUint16(uuid[4:], uint16(t>>32))
	binary.BigEndian.PutUint16(uuid[6:], uint16(t>>48)|0x1000)
	return uuid
}

// versionAfter is the version of something so long after the sample pin.
func versionAfter(d time.Duration) Version { return VersionOf(uuidAt(sampleTime().Add(d))) }

func samplePin() *Pin {
	return &Pin{
		Name: "holidays 2026 & <more>", Type: "pin", Mode: "recursive", MaxDepth: -1,
		ReplicationFactorMin: 2, ReplicationFactorMax: 3,
		Allocations: []string{samplePeer, sampleOther},
		Origins:     []string{"/ip4/192.0.2.7/tcp/4001/p2p/" + sampleOther},
		ExpireAt:    time.Date(2027, 11, 27, 0, 0, 0, 0, time.UTC),
		Metadata:    map[string]string{"app": "photos", "album": "Zürich"},
		Created:     sampleTime().Truncate(time.Second),
	}
}

// sampleClaim is all that is known of a claim at its end.
func sampleClaim() ClaimData {
	return ClaimData{
		Cid: sampleCid, Owner: "alice@example.org", RequestID: "01JDPX7Q9R6V5T4S3K2H1G0FED", Name: "holidays 2026",
		Accepted: sampleTime(), Pinned: sampleTime().Add(3 * time.Second), Removed: sampleTime().Add(240 * time.Hour), Replicas: 2, Size: 7340032,
	}
}

// shardPin has the fields that samplePin has not.
func shardPin() *Pin {
	return &Pin{
		Type: "meta-pin", Mode: "direct", ReplicationFactorMin: -1, ReplicationFactorMax: -1, ShardSize: 1 << 30,
		PinUpdate: "QmPK1s3pNYLi9ERiq3BDxKa4XosgWwFRQUydHUtz4YgpqB",
		Reference: "bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
	}
}

// samples returns an event of each type, by the name of its golden file.
func samples() map[string]Event {
	out := make(map[string]Event)
	for i, t := range Types() {
		e := Event{Source: Source("ipfs-cluster"), Type: t}
		at := versionAfter(time.Duration(i) * time.Second)
		switch t.family() {
		case pinFamily:
			e.Pin = &PinData{Cid: sampleCid, Version: at}
			e.Traceparent = sampleTrace
			if !t.removal() {
				e.Pin.Pin = samplePin()
			}
		case statusFamily:
			e.Status = &StatusData{Cid: sampleCid, Version: versionAfter(0), At: at, Peer: samplePeer}
			switch t {
			case PinFailed:
				e.Status.Status, e.Status.Error = "pin_error", "context deadline exceeded"
			case PinDropped:
				e.Status.Status = "unpinned"
			case PinSized:
				e.Status.Status, e.Status.Size = "pinned", 7340032
			default:
				e.Status.Status = "pinned"
			}
		case peerFamily:
			e.Peer = &PeerData{Peer: samplePeer, Name: "peer-1", Incarnation: "6d2f4f3e-9f0f-4d53-8a2e-0d3a4b1c5e7f", At: at}
		case claimFamily:
			e = ClaimEvent(e.Source, t, sampleClaim())
		}
		out[t.Kind()] = e
	}
	shard := out[PinUpdated.Kind()]
	shard.Pin = &PinData{Cid: sampleCid, Version: versionAfter(time.Minute), Pin: shardPin()}
	out["pin.updated-shard"] = shard
	large := out[PinAccepted.Kind()]
	large.Pin = &PinData{Cid: sampleCid, Version: versionAfter(time.Minute), Omitted: "it has 600000 bytes, more than 524288"}
	out["pin.accepted-omitted"] = large
	return out
}

func encode(tb testing.TB, e interface{ Encode() ([]byte, error) }) []byte {
	tb.Helper()
	encoded, err := e.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return encoded
}
