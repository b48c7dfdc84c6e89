package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadOnce: who wants to read a source twice may ask before.
func TestReadOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pins.json")
	ok(t, os.WriteFile(file, nil, 0o600))
	for from, want := range map[string]bool{"export:-": true, "export:" + file: false} {
		s, err := Open(t.Context(), from, Options{Stdin: strings.NewReader("")})
		ok(t, err)
		if got := s.ReadOnce(); got != want {
			t.Errorf("%s can be read only once: %v, want %v", from, got, want)
		}
		ok(t, s.Close())
	}
}
