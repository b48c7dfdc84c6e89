package cmdline

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/settings"
)

// WriteNew writes files into a folder, for their owner alone, and says so. If one of them is there,
// or cannot be written, none is left.
func WriteNew(stderr io.Writer, folder string, files []settings.NewFile) (err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("creating the folder of the configuration: %w", err)
	}
	var made []string
	defer func() {
		if err != nil {
			for _, name := range made {
				err = errors.Join(err, os.Remove(name))
			}
		}
	}()
	for _, file := range files {
		name := filepath.Join(folder, file.Name)
		if err := writeNew(name, file.Text); err != nil {
			return err
		}
		made = append(made, name)
	}
	for _, name := range made {
		fmt.Fprintf(stderr, "written: %s\n", name)
	}
	return nil
}

// writeNew writes a file that is not there yet, for its owner alone.
func writeNew(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: nothing was written, remove it if it is not needed", name)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(name))
	}
	return nil
}
