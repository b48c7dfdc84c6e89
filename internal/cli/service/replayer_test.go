package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// replayed is a pinset, and the bus on which its events are told again.
type replayed struct {
	t       *testing.T
	pins    int
	corrupt int // the first so many cannot be decoded
	keysErr error
	readErr func(read int) error
	busErr  error

	reads, sends int
	told         map[string]int
}

func (r *replayed) Keys(ctx context.Context, out chan<- api.Cid) error {
	defer close(out)
	for i := range r.pins {
		select {
		case out <- testPin(r.t, i).Cid:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return r.keysErr
}

func (r *replayed) GetVersions(_ context.Context, cids []api.Cid, f func(int, *api.Pin, state.Revision, error)) error {
	if r.reads++; r.readErr != nil && len(cids) > 0 {
		if err := r.readErr(r.reads); err != nil {
			return err
		}
	}
	corrupt := make(map[api.Cid]bool)
	for i := range r.corrupt {
		corrupt[testPin(r.t, i).Cid] = true
	}
	for i, c := range cids {
		if corrupt[c] {
			f(i, nil, state.Revision{}, fmt.Errorf("\x1b[2Jthe stored pin of %s is corrupt", c))
			continue
		}
		pin := api.PinCid(c)
		f(i, &pin, state.Revision{1}, nil)
	}
	return nil
}

func (r *replayed) Again(_ context.Context, _ int, batch []bus.Message) error {
	r.sends++
	if r.busErr != nil {
		return r.busErr
	}
	for _, m := range batch {
		r.told[m.ID]++
	}
	return nil
}

// TestReplayAll: what cannot be read holds up nothing that can be, and is counted; some of
// it is named.
func TestReplayAll(t *testing.T) {
	down, broken := errors.New("the database is down"), errors.New("2 rows were passed over")
	third := func(read int) error {
		if read == 3 {
			return down
		}
		return nil
	}
	for _, tt := range []struct {
		what  string
		set   replayed
		told  int
		names int
		want  string
	}{
		{"none", replayed{}, 0, 0, ""},
		{"all", replayed{pins: 3*replayBatch + 1}, 3*replayBatch + 1, 0, ""},
		{"one is corrupt", replayed{pins: replayBatch + 9, corrupt: 1}, replayBatch + 8, 1,
			"telling events again: 264 were told, and 1 could not be read, see docs/troubleshooting.md"},
		{"many are corrupt", replayed{pins: replayBatch, corrupt: 50}, replayBatch - 50, maxPassedOver,
			"telling events again: 206 were told, and 50 could not be read, see docs/troubleshooting.md"},
		{"some keys are none", replayed{pins: 5, keysErr: broken}, 5, 0, "telling events again, after 5 were: 2 rows were passed over"},
		{"the database goes down", replayed{pins: 9 * replayBatch, corrupt: 2, readErr: third}, 2*replayBatch - 2, 2,
			"telling events again, after 510 were, and 2 could not be read: the database is down"},
		{"nobody can be told", replayed{pins: 100 * replayBatch, busErr: errors.New("no NATS")}, 0, 0, "telling events again, after 0 were: no NATS"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			set, stderr := &tt.set, &bytes.Buffer{}
			set.t, set.told = t, make(map[string]int)
			r := &replayer{bus: set, cluster: "test", progress: quiet(), stderr: stderr}
			err := r.run(t.Context(), func() error { return r.all(t.Context(), set) })
			if got := fmt.Sprint(err); err == nil && tt.want != "" || err != nil && got != tt.want {
				t.Errorf("it ends with\n%s, want\n%s", got, tt.want)
			}
			if r.told != tt.told || len(set.told) != tt.told {
				t.Errorf("it counts %d, and %d were told, want %d", r.told, len(set.told), tt.told)
			}
			if set.busErr != nil && set.sends != 1 {
				t.Errorf("it was tried %d times", set.sends)
			}
			lines := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
			named := 0
			for _, line := range lines {
				if strings.HasPrefix(line, `passed over: "\x1b[2Jthe stored pin of `) {
					named++
				}
			}
			if named != tt.names || tt.set.corrupt > tt.names && lines[len(lines)-1] != "and 30 more" {
				t.Errorf("it names %d, want %d:\n%s", named, tt.names, stderr)
			}
		})
	}
}
