package embedded

import (
	"errors"
	"strings"
	"testing"
	"time"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
)

// TestSync asks the servers how they write to disk.
func TestSync(t *testing.T) {
	for _, interval := range []time.Duration{0, 10 * time.Second} {
		s, err := Start(t.Context(), Config{Folder: t.TempDir(), Listen: "127.0.0.1:0", SyncInterval: interval})
		if err != nil {
			t.Fatal(err)
		}
		got := s.nats.JetStreamConfig()
		if got.SyncAlways != (interval == 0) || interval != 0 && got.SyncInterval != interval || got.MaxStore != DefaultMaxBytes {
			t.Errorf("with %s the server has %+v", interval, got)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestFatalLater: what would end a server of its own is an error in the log of this process,
// which goes on.
func TestFatalLater(t *testing.T) {
	s, err := Start(t.Context(), Config{Folder: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	said := logtest.During(t, logging.LevelError, func() {
		s.nats.Fatalf("Error starting monitor on %q: %v", "a port", errors.New("it is taken"))
	})
	if want := `the NATS server of this process cannot go on: Error starting monitor on "a port": it is taken`; !strings.Contains(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
