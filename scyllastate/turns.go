package scyllastate

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

const (
	// turnsPerWait says how long a turn is: longer than it takes until one who is due
	// looks at the pin, and than a fence takes as a rule.
	turnsPerWait = 4
	// lastTurn is shared by all holders who would come later, and lastOfAll is that of
	// most of those who read of a pin that every peer holds.
	lastTurn  = 7
	lastOfAll = 3
)

// turnToFence reports whether the writers of changes of a CID have had their time, and it
// is the turn of the reader of a feed to end them. now is the row of the CID.
func (s *Store) turnToFence(feed string, c api.Cid, now row, pending []change) bool {
	key := string(c.Bytes())
	if !s.deadlines.ended(key, pending, 0) {
		return false
	}
	pin, err := now.decode(c)
	if err != nil {
		pin = nil // nobody holds what cannot be decoded
	}
	return s.deadlines.ended(key, pending, turnOf(c, pin, feed))
}

// turnOf is how many turns the reader of a feed lets pass, once the writers of a CID have
// had their time, before it fences: a fence of a pin is announced to all of its holders, and
// they come due at almost the same moment. So they take turns, in an order that differs by
// CID and is the same for all of them. A reader that does not hold the pin as it is comes
// after those who do. Of a pin that every peer holds nobody knows how many read: an eighth of
// them comes before the others, an eighth of those before the rest of them, and so on.
// Where there is no pin nobody is told of the fence, and all have the first turn.
func turnOf(c api.Cid, pin *api.Pin, feed string) int {
	if pin == nil {
		return 0
	}
	mine := lot(c, feed)
	if pin.IsPinEverywhere() {
		return max(0, lastOfAll-bits.LeadingZeros64(binary.BigEndian.Uint64(mine))/3)
	}
	before, holds := 0, false
	for _, p := range pin.Allocations {
		other := p.String()
		holds = holds || other == feed
		if bytes.Compare(lot(c, other), mine) < 0 {
			before++
		}
	}
	if !holds {
		before = len(pin.Allocations)
	}
	return min(before, lastTurn)
}

// lot is what a feed has drawn for a CID: whose is lower has its turn first.
func lot(c api.Cid, feed string) []byte {
	sum := sha256.Sum256(slices.Concat(c.Bytes(), []byte(feed)))
	return sum[:]
}
