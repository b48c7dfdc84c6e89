package ledger

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// What rows lie together. Rows that are stored depend on these: they are never changed.
const (
	// Shards are the parts into which the owners of a day are divided.
	Shards = 64

	claimBuckets     = 4096
	quarterMS        = usage.DayMS / 96
	factBuckets      = 16 // of a quarter of an hour
	quarantineShards = 16
)

// ShardOf returns the shard of an owner, from 0 to Shards-1.
func ShardOf(owner string) int { return int(hash16(owner) % Shards) }

// hash16 is the beginning of the SHA-256 of a text.
func hash16(text string) uint16 {
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint16(sum[:])
}

// Key names a claim.
type Key struct{ Owner, RequestID string }

// claimPartition is where a claim is.
type claimPartition struct {
	owner  string
	bucket int
}

func (k Key) partition() claimPartition {
	return claimPartition{k.Owner, int(hash16(k.RequestID) % claimBuckets)}
}

// factPartition is where a fact is.
type factPartition struct {
	owner  string
	day    int64
	bucket int
}

func partitionOf(f *claim.Fact) factPartition {
	day := usage.DayOf(f.At)
	quarter := int((f.At - day*usage.DayMS) / quarterMS)
	return factPartition{f.Owner, day, quarter*factBuckets + int(hash16(f.RequestID)%factBuckets)}
}

// MonthOf returns the month of a day in days since 1970, as 202612.
func MonthOf(day int64) int {
	t := timeOf(day * usage.DayMS)
	return t.Year()*100 + int(t.Month())
}
