package status

import (
	"bufio"
	"context"
	"errors"
	"strings"
	"testing"

	logging "github.com/ipfs/go-log/v2"
)

// TestAskerLeaves: who leaves before the peers have answered gets an error and no answer,
// and nothing is said of the peers, not in the log either.
func TestAskerLeaves(t *testing.T) {
	w := newWorld(t, 3)
	pin := w.pin("a", 0, 1)
	pipe := logging.NewPipeReader(logging.PipeFormat(logging.PlaintextOutput), logging.PipeLevel(logging.LevelError))
	lines := make(chan []string, 1)
	go func() {
		var all []string
		for in := bufio.NewScanner(pipe); in.Scan(); {
			all = append(all, in.Text())
		}
		lines <- all
	}()
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if got, err := w.service.one(ctx, "Status", pin.Cid); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", w.byPeer(got), err)
	}
	if err := pipe.Close(); err != nil {
		t.Error(err)
	}
	for _, line := range <-lines {
		if strings.Contains(line, pin.Cid.String()) {
			t.Errorf("logged: %s", line)
		}
	}
}
