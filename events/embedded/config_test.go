package embedded

import (
	"testing"
	"time"
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
