package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// profileSeconds is how long a profile takes.
const profileSeconds = 8

// profile takes a profile of the first peer of a cluster into the folder that the
// settings name, while the turn goes on. What it returns waits for its end.
func (m *clusterBench) profile(ctx context.Context, c *cluster, side, peers int) func() error {
	if m.set.Profiles == "" {
		return func() error { return nil }
	}
	var g errgroup.Group
	g.Go(func() error {
		text, err := get(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", c.daemons[0].service.pprof, profileSeconds))
		if err != nil {
			return fmt.Errorf("taking a profile: %w", err)
		}
		file := filepath.Join(m.set.Profiles, fmt.Sprintf("peers-%d-%s.pprof", peers, [2]string{"ours", "stock"}[side]))
		if err := os.MkdirAll(m.set.Profiles, 0o755); err != nil {
			return fmt.Errorf("making the folder of the profiles: %w", err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return fmt.Errorf("writing a profile: %w", err)
		}
		say("a profile is in %s", file)
		return nil
	})
	return g.Wait
}
