package sli

import (
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Deadline is how long after it was accepted a pin must be pinned.
const Deadline = time.Minute

// firstAccepted is 1 January 1998, in Unix time: the revisions of pins that a migration has
// written are of before.
const firstAccepted = 883_612_800

// acceptedAt is when the pin of a revision was accepted. It returns false if nobody has
// accepted it.
func acceptedAt(rev state.Revision) (time.Time, bool) {
	at := rev.Time()
	if at.Before(time.Unix(firstAccepted, 0)) {
		return time.Time{}, false
	}
	return at, true
}
