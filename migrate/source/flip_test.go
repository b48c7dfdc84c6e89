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
		p := stoppedCRDT(t, kind)
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
const flips = 40

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

// TestCRDTDamagedManifest: no engine may take its tables for fewer than they are.
func TestCRDTDamagedManifest(t *testing.T) {
	for kind, c := range map[string]struct {
		pattern string
		change  func([]byte)
	}{
		"pebble":  {"MANIFEST-*", func(b []byte) { b[len(b)/2] ^= 1 }},
		"badger":  {"MANIFEST", func(b []byte) { b[8+3] += 0x10 }}, // a length
		"badger3": {"MANIFEST", func(b []byte) { b[8+3] += 1 }},
		"leveldb": {"MANIFEST-*", func(b []byte) { b[len(b)/2] ^= 1 }},
	} {
		t.Run(kind, func(t *testing.T) {
			p := stoppedCRDT(t, kind)
			files, err := filepath.Glob(filepath.Join(p.folder, kind, c.pattern))
			ok(t, err)
			change(t, files[len(files)-1], func(b []byte) []byte { c.change(b); return b })
			untouched(t, p.folder)
			_, err = p.isTheSame(t)
			wantError(t, err, "is damaged")
		})
	}
}

// TestCRDTOfPeerThatWasOftenStarted: badger 3 leaves an empty log each time, and
// would delete it when it reads.
func TestCRDTOfPeerThatWasOftenStarted(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := stoppedCRDT(t, kind)
		for range 3 {
			p.open(t, kind)
			p.stop(t)
		}
		untouched(t, p.folder)
		same, err := p.isTheSame(t)
		ok(t, err)
		if !same {
			t.Error("the pins are others")
		}
	})
}

// TestPebbleManifestIsReadToItsEnd: each of its changes counts.
func TestPebbleManifestIsReadToItsEnd(t *testing.T) {
	p := stoppedCRDT(t, "pebble")
	files, err := filepath.Glob(filepath.Join(p.folder, "pebble", "MANIFEST-*"))
	ok(t, err)
	name := files[len(files)-1]
	whole, err := os.ReadFile(name)
	ok(t, err)
	_, err = readPebbleManifest(filepath.Dir(name))
	ok(t, err)
	for i := 0; i < len(whole); i += 7 {
		change(t, name, func(b []byte) []byte { b[i] ^= 1; return b })
		if _, err := readPebbleManifest(filepath.Dir(name)); err == nil {
			t.Errorf("byte %d of %d is another one, and nobody notices", i, len(whole))
		}
		ok(t, os.WriteFile(name, whole, 0o600))
	}
}
