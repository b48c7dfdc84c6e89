package source

import (
	"fmt"
	"os"
	"path/filepath"

	badger "github.com/dgraph-io/badger/v3"
	"github.com/dgraph-io/badger/v3/options"
	"github.com/dgraph-io/badger/v3/table"
	"github.com/dgraph-io/ristretto/z"
)

// checkBadger3Tables opens each table of badger 3 and verifies its checksums. Badger does
// the same when it is opened, in goroutines of its own, where its panic over a table
// that is damaged would end the process.
func checkBadger3Tables(folder string) error {
	file, err := os.Open(filepath.Join(folder, badger.ManifestFilename))
	if err != nil {
		return err
	}
	defer file.Close()
	var manifest badger.Manifest
	err = guarded(func() (err error) {
		manifest, _, err = badger.ReplayManifestFile(file)
		return err
	})
	if err != nil {
		return &damage{err}
	}
	known := make(map[uint64]bool)
	for id, entry := range manifest.Tables {
		known[id] = true
		name := table.NewFilename(id, folder)
		err := guarded(func() error { return checkTable(name, entry.Compression) })
		if err != nil {
			return &damage{fmt.Errorf("the table %s cannot be read: %w", filepath.Base(name), err)}
		}
	}
	return knowsTables(folder, known)
}

func checkTable(name string, compression options.CompressionType) error {
	file, err := z.OpenMmapFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	opened, err := table.OpenTable(file, table.Options{
		ReadOnly: true, BlockSize: 4 << 10, Compression: compression, ChkMode: options.OnTableRead,
	})
	if err != nil {
		return err // it has closed the file
	}
	return opened.Close(-1)
}
