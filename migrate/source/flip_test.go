package source

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestCRDTFlippedBit: with any one bit of the files another one, there is an
// error or the pins are what they were.
func TestCRDTFlippedBit(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := startCRDT(t, kind)
		p.stop(t)
		files, err := filepath.Glob(filepath.Join(p.folder, kind, "*"))
		ok(t, err)
		random := rand.New(rand.NewPCG(1, 2))
		found := 0
		for range flips {
			name := files[random.IntN(len(files))]
			raw, err := os.ReadFile(name)
			ok(t, err)
			if len(raw) == 0 || filepath.Base(name) == "LOG" || filepath.Base(name) == "DISCARD" {
				continue
			}
			bit := random.IntN(len(raw) * 8)
			raw[bit/8] ^= 1 << (bit % 8)
			ok(t, os.WriteFile(name, raw, 0o600))
			same, err := p.isTheSame(t)
			if err != nil {
				found++
			} else if !same {
				t.Errorf("bit %d of %s was not noticed", bit, filepath.Base(name))
			}
			raw[bit/8] ^= 1 << (bit % 8)
			ok(t, os.WriteFile(name, raw, 0o600))
		}
		if found == 0 {
			t.Error("no flipped bit was found")
		}
		t.Logf("%d flipped bits were found", found)
	})
}

// flips is how many bits are flipped for each datastore.
const flips = 400

// isTheSame reports whether the pins are what they were, if they can be read.
func (p *crdtPeer) isTheSame(t *testing.T) (bool, error) {
	t.Helper()
	s, err := Open(t.Context(), p.from(), Options{})
	if err != nil {
		return false, err
	}
	defer s.Close()
	got, err := readFrom(t, s, Position{})
	return maps.EqualFunc(got.values, p.want, bytes.Equal), err
}
