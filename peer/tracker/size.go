package tracker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxAnswer bounds what is read of an answer of IPFS.
const maxAnswer = 64 << 10

// KuboSize returns a function that asks the Kubo RPC API at base, such as
// http://127.0.0.1:5001, for the size of a DAG in bytes, as the links of its
// root tell it. Kubo answers from its own blocks only, reads no more than the
// root, and knows the size of files, directories and raw blocks.
func KuboSize(base string, client *http.Client) func(context.Context, api.Cid) (int64, error) {
	return func(ctx context.Context, c api.Cid) (int64, error) {
		query := url.Values{"arg": {"/ipfs/" + c.String()}, "offline": {"true"}}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/v0/files/stat?"+query.Encode(), nil)
		if err != nil {
			return 0, fmt.Errorf("asking IPFS for the size of %s: %w", c, err)
		}
		res, err := client.Do(req)
		if err != nil {
			return 0, fmt.Errorf("asking IPFS for the size of %s: %w", c, err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return 0, fmt.Errorf("asking IPFS for the size of %s: %w", c, err)
		}
		if res.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("asking IPFS for the size of %s: %s: %.200s", c, res.Status, body)
		}
		var stat struct{ Size, CumulativeSize int64 }
		if err := json.Unmarshal(body, &stat); err != nil {
			return 0, fmt.Errorf("asking IPFS for the size of %s: %w", c, err)
		}
		return max(stat.CumulativeSize, stat.Size), nil
	}
}

const (
	// sizeTimeout bounds one measurement.
	sizeTimeout = time.Minute
	// maxMeasured bounds the CIDs that wait to be measured. What finds no room is
	// measured when the rows are looked through the next time.
	maxMeasured = 1 << 14
)

// sizeNow measures what was pinned, 0 if that takes long or fails.
func (t *Tracker) sizeNow(ctx context.Context, c api.Cid) int64 {
	if t.opts.Size == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, sizeWait)
	defer cancel()
	size, err := t.opts.Size(ctx, c)
	if err != nil {
		return 0
	}
	return size
}

// sizeless is a pin that was noted without its size, in a revision.
type sizeless struct {
	cid api.Cid
	rev state.Revision
}

func (t *Tracker) measureLater(c api.Cid, rev state.Revision) {
	if t.opts.Size == nil {
		return
	}
	select {
	case t.measure <- sizeless{c, rev}:
	default: // too much to do; it does not matter
	}
}

// measureAll measures what was pinned, one after another, so that it takes
// little of the daemon.
func (t *Tracker) measureAll() {
	for {
		select {
		case <-t.ctx.Done():
			return
		case pin := <-t.measure:
			if err := t.measureOne(t.ctx, pin); err != nil && t.ctx.Err() == nil {
				logger.Debugf("the size of %s stays unknown: %s", pin.cid, err)
			}
		}
	}
}

func (t *Tracker) measureOne(ctx context.Context, pin sizeless) error {
	ctx, cancel := context.WithTimeout(ctx, sizeTimeout)
	defer cancel()
	size, err := t.opts.Size(ctx, pin.cid)
	if err != nil {
		return err
	}
	if t.opts.Log != nil {
		t.tellSize(pin, size)
		return nil
	}
	return t.opts.Store.SetSize(ctx, t.opts.Self, pin.cid, size)
}
