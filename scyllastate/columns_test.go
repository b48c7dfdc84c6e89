package scyllastate

import (
	"slices"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestReadableColumns shows by SELECT that, for every kind of pin, the columns
// an operator reads say the same as the pin.
func TestReadableColumns(t *testing.T) {
	s := newTestStore(t)
	for _, sample := range statetest.Samples(t) {
		t.Run(sample.Name, func(t *testing.T) {
			if err := s.Add(t.Context(), sample.Pin); err != nil {
				t.Fatal(err)
			}
			var (
				value        []byte
				rfMin, rfMax int
				created      *time.Time
				peers        []string
				rev          gocql.UUID
			)
			err := s.db.Session.Query("SELECT rev, pin, rf_min, rf_max, created, peers FROM pins WHERE cid = ?", sample.Pin.Cid.Bytes()).
				Scan(&rev, &value, &rfMin, &rfMax, &created, &peers)
			if err != nil {
				t.Fatal(err)
			}
			pin, err := decodePin(sample.Pin.Cid, value)
			if err != nil {
				t.Fatal(err)
			}
			if rfMin != pin.ReplicationFactorMin || rfMax != pin.ReplicationFactorMax {
				t.Errorf("rf_min, rf_max = %d, %d, the pin says %d, %d", rfMin, rfMax, pin.ReplicationFactorMin, pin.ReplicationFactorMax)
			}
			switch {
			case pin.Timestamp.IsZero() != (created == nil):
				t.Errorf("created = %v, the pin says %v", created, pin.Timestamp)
			case created != nil && !created.Equal(pin.Timestamp):
				t.Errorf("created = %v, the pin says %v", created, pin.Timestamp)
			}
			var want []string
			for _, p := range pin.Allocations {
				want = append(want, p.String())
			}
			if !slices.Equal(peers, want) {
				t.Errorf("peers = %q, the pin says %q", peers, want)
			}
			if rev.Version() != 1 {
				t.Errorf("rev %s is no timeuuid", rev)
			}
		})
	}
}
