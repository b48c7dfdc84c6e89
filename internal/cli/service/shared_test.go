package service

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
)

// sharedPeer is one with the given sections of service.json, as daemon makes it.
func sharedPeer(t *testing.T, sections map[string]map[string]any) *clusterPeer {
	t.Helper()
	folder := initWith(t, sections)
	cmd := &command{folder: folder, configPath: filepath.Join(folder, "service.json"), identityPath: filepath.Join(folder, "identity.json")}
	cfg, err := cmd.loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cfg.Manager().Shutdown)
	return &clusterPeer{cfg: cfg, role: role.Full, folder: folder, shared: &peer.Peer{}, counts: newCounts(), admin: &admin{}}
}

// TestIntervals: upstream's loops over the pinset are put off for ever, and ours go by
// what the user has set, whatever was made first.
func TestIntervals(t *testing.T) {
	for name, tt := range map[string]struct {
		scylla map[string]any
		check  time.Duration
	}{
		"check_every of the user": {map[string]any{"check_every": "36h"}, 36 * time.Hour},
		"no check":                {map[string]any{"check_every": "0s"}, 0},
		"default":                 {map[string]any{}, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			p := sharedPeer(t, map[string]map[string]any{"state": {"scylla": tt.scylla}})
			user := p.cfg.Configs().Cluster
			user.PinRecoverInterval, user.StateSyncInterval, user.MonitorPingInterval = 7*time.Minute, 8*time.Minute, 9*time.Second
			user.DisableRepinning = false
			for range 2 { // the first must not change what the second gets
				given := p.clusterConfig()
				if given.PinRecoverInterval != never || given.StateSyncInterval != never || !given.DisableRepinning || given.BaseDir != "" {
					t.Errorf("upstream's cluster gets pin_recover_interval %s, state_sync_interval %s, disable_repinning %t, folder %q",
						given.PinRecoverInterval, given.StateSyncInterval, given.DisableRepinning, given.BaseDir)
				}
				opts := p.joinOptions(nil, "here")
				if opts.RecoverInterval != 7*time.Minute || opts.PingInterval != 9*time.Second || opts.CheckEvery != tt.check || !opts.Repin() {
					t.Errorf("the peer gets %s between recoveries, %s between heartbeats, a check in %s, repins: %t, want 7m0s, 9s, %s, true",
						opts.RecoverInterval, opts.PingInterval, opts.CheckEvery, opts.Repin(), tt.check)
				}
				if opts.Metrics != p.counts.peer || opts.DriftEvery != 24*time.Hour || opts.CanaryEvery != 0 {
					t.Errorf("the peer is measured: %t, with drift every %s and a canary every %s", opts.Metrics == p.counts.peer, opts.DriftEvery, opts.CanaryEvery)
				}
			}
			p.shared = nil // another backend
			if given := p.clusterConfig(); given.PinRecoverInterval != 7*time.Minute {
				t.Errorf("without a shared pinset pin_recover_interval is %s", given.PinRecoverInterval)
			}
		})
	}
}
