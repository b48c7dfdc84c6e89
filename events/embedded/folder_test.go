package embedded_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/embedded"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
)

// TestBadFolder: what a server cannot start with is an error with the folder's name.
func TestBadFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	occupied := filepath.Join(dir, "occupied")
	must(t, os.Mkdir(occupied, 0o700))
	must(t, os.WriteFile(filepath.Join(occupied, "jetstream"), nil, 0o600))
	for _, tc := range []struct{ folder, want string }{
		{"", "starting NATS: no folder is given for its data"},
		{file, "making the folder of NATS: mkdir " + file + ": not a directory"},
		{occupied, "starting NATS in " + occupied + ": storage directory is not a directory"},
	} {
		_, err := embedded.Start(t.Context(), embedded.Config{Folder: tc.folder, Listen: "127.0.0.1:0"})
		if err == nil || err.Error() != tc.want {
			t.Errorf("%q:\n got %v\nwant %s", tc.folder, err, tc.want)
		}
	}
	must(t, os.Remove(filepath.Join(occupied, "jetstream")))
	start(t, occupied) // the failure left nothing behind
}

// TestDamagedFolder: a server starts with what it can read, and warns of the rest.
// The bus goes on.
func TestDamagedFolder(t *testing.T) {
	must(t, logging.SetLogLevel("events", "warn"))
	defer func() { must(t, logging.SetLogLevel("events", "error")) }()
	for name, test := range map[string]struct {
		damage func(t *testing.T, stream string)
		kept   bool
	}{
		"no settings of the stream":  {func(t *testing.T, stream string) { must(t, os.Remove(filepath.Join(stream, "meta.inf"))) }, true},
		"bad settings of the stream": {func(t *testing.T, stream string) { overwrite(t, filepath.Join(stream, "meta.inf")) }, true},
		"bad messages":               {func(t *testing.T, stream string) { overwrite(t, filepath.Join(stream, "msgs", "1.blk")) }, false},
		"bad index":                  {func(t *testing.T, stream string) { overwrite(t, filepath.Join(stream, "msgs", "index.db")) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			s := start(t, folder)
			use(t, s, func(b *bus.Bus) { publish(t, b, 1, "before") })
			stop(t, s)
			test.damage(t, filepath.Join(folder, "jetstream", "$G", "streams", "ipfs-cluster-events"))
			want := "after"
			if test.kept {
				want = "before after"
			}
			said := logtest.During(t, logging.LevelWarn, func() { s = start(t, folder) })
			if !strings.Contains(said, "NATS: ") {
				t.Errorf("it does not warn, but says %q", said)
			}
			use(t, s, func(b *bus.Bus) {
				publish(t, b, 2, "after")
				if got := events(t, b); got != want {
					t.Errorf("the stream has %q, want %q", got, want)
				}
			})
		})
	}
}

func overwrite(t *testing.T, file string) {
	t.Helper()
	info, err := os.Stat(file)
	must(t, err)
	must(t, os.WriteFile(file, []byte(strings.Repeat("#", int(info.Size()))), 0o600))
}
