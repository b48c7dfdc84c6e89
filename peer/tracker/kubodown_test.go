package tracker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

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

// TestKuboHangs: what IPFS does not answer is an error after seconds, also for who waits
// for a list.
func TestKuboHangs(t *testing.T) {
	const limit = 10 * time.Second // those who ask for all peers wait for 15 s
	for name, ask := range map[string]func(r *rig) error{
		"status": func(r *rig) error { return statusError(r.Status(r.t.Context(), r.own("1").Cid)) },
		"recover": func(r *rig) error {
			info, _ := r.Recover(r.t.Context(), r.own("0").Cid)
			return statusError(info)
		},
		"everything":      func(r *rig) error { _, err := r.list(0); return err },
		"what is fine":    func(r *rig) error { _, err := r.list(api.TrackerStatusPinned); return err },
		"errors":          func(r *rig) error { _, err := r.list(api.TrackerStatusError); return err },
		"recovery of all": func(r *rig) error { return r.RecoverAll(r.t.Context(), make(chan api.PinInfo, 100)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS())
				r.many(7)
				r.scanned.Store(true)
				r.ipfs.edit(func() {
					r.ipfs.hangs = true
					r.ipfs.lists = func(string) ([]api.IPFSPinInfo, error) {
						time.Sleep(5 * time.Minute) // ipfs_request_timeout
						return nil, errors.New("no answer")
					}
				})
				began := time.Now()
				if err := ask(r); err == nil {
					t.Error("there is no error")
				}
				if took := time.Since(began); took > limit {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// statusError is the error of a status that is not known.
func statusError(info api.PinInfo) error {
	if info.Status != api.TrackerStatusClusterError {
		return nil
	}
	return errors.New(info.Error)
}
