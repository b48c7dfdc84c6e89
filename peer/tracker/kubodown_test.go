package tracker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// downIPFS does not answer questions.
type downIPFS struct{ *ipfs }

func (downIPFS) PinLsCid(context.Context, api.Pin) (api.IPFSPinStatus, error) {
	return api.IPFSPinStatusError, errors.New("connection refused")
}

func (downIPFS) PinLs(_ context.Context, _ []string, out chan<- api.IPFSPinInfo) error {
	close(out)
	return errors.New("connection refused")
}

// TestKuboDown: a list that may have errors of the peer fails while IPFS does not
// answer, whatever else it is asked for: the status of each pin is such an error.
func TestKuboDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		r.many(7) // nothing is queued
		r.scanned.Store(true)
		for filter, fails := range map[api.TrackerStatus]bool{
			0: true, api.TrackerStatusPinned: true, api.TrackerStatusError: true, api.TrackerStatusClusterError: true,
			api.TrackerStatusQueued: false, api.TrackerStatusUnpinError: false,
		} {
			if _, err := r.list(filter); err != nil {
				t.Errorf("%s, IPFS answers: %s", filter, err)
			}
			answers := r.opts.Daemon
			r.opts.Daemon = downIPFS{r.ipfs}
			if all, err := r.list(filter); (err != nil) != fails {
				t.Errorf("%s, IPFS is down: %d entries, %v", filter, len(all), err)
			}
			r.opts.Daemon = answers
		}
	})
}
