package service

import (
	"context"
	"errors"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// shelf is a store that lists so many CIDs and counts what is removed.
type shelf struct {
	state.BatchingStore
	t         *testing.T
	pins      int
	listErr   error
	commitErr func(commit int) error

	waiting, commits, gone int
}

func (s *shelf) Keys(ctx context.Context, out chan<- api.Cid) error {
	defer close(out)
	for i := range s.pins {
		select {
		case out <- testPin(s.t, i).Cid:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.listErr
}

func (s *shelf) Rm(context.Context, api.Cid) error {
	s.waiting++
	return nil
}

func (s *shelf) Commit(context.Context) error {
	s.commits++
	if err := s.commitErr(s.commits); err != nil {
		return err
	}
	s.gone += s.waiting
	s.waiting = 0
	return nil
}

func TestRemovePins(t *testing.T) {
	down, broken := errors.New("the database is down"), errors.New("a key is no CID")
	for _, tc := range []struct {
		name    string
		pins    int
		listErr error
		fail    int // the commit that fails
		removed int
		commits int
		want    error
	}{
		{name: "none"},
		{name: "one batch", pins: 3, removed: 3, commits: 1},
		{name: "full batches", pins: 2 * removeBatch, removed: 2 * removeBatch, commits: 2},
		{name: "the last batch fails", pins: removeBatch + 5, fail: 2, removed: removeBatch, commits: 2, want: down},
		{name: "the only batch fails", pins: 5, fail: 1, commits: 1, want: down},
		{name: "a full batch fails", pins: 3 * removeBatch, fail: 2, removed: removeBatch, commits: 2, want: down},
		{name: "some cannot be listed", pins: 5, listErr: broken, removed: 5, commits: 1, want: broken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &shelf{t: t, pins: tc.pins, listErr: tc.listErr, commitErr: func(n int) error {
				if n == tc.fail {
					return down
				}
				return nil
			}}
			removed, err := removePins(t.Context(), s.Keys, s, quiet())
			if removed != tc.removed || s.gone != tc.removed || s.commits != tc.commits || !errors.Is(err, tc.want) {
				t.Errorf("%d pins reported removed, %d were, in %d commits, %v; want %d in %d, %v",
					removed, s.gone, s.commits, err, tc.removed, tc.commits, tc.want)
			}
		})
	}
}
