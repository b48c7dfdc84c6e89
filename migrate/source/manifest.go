package source

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A manifest says which tables an engine has, one change after another. Pebble
// and both badgers take the first change that is damaged for the end of it, and
// would then not know all tables, or know those that were replaced: pins would
// be missing, and removed ones come back.

// checkPebbleManifest reads the manifest of pebble to its end.
func checkPebbleManifest(folder string) error {
	desc, err := pebble.Peek(folder, vfs.Default)
	if err != nil {
		return err
	}
	if !desc.Exists {
		return errors.New("it has no manifest")
	}
	file, err := os.Open(desc.ManifestFilename)
	if err != nil {
		return err
	}
	defer file.Close()
	in := record.NewReader(file, 0)
	for {
		change, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			_, err = io.Copy(io.Discard, change)
		}
		if err != nil {
			return fmt.Errorf("its manifest: %w", err)
		}
	}
}

// checkBadgerManifest makes sure that the last change in a manifest of badger is
// whole. Badger itself looks at the checksums of those that are.
func checkBadgerManifest(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReader(file)
	if _, err := in.Discard(8); err != nil { // what it is, and its version
		return fmt.Errorf("its manifest: %w", err)
	}
	for {
		head := make([]byte, 8) // length and checksum
		if _, err := io.ReadFull(in, head); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("the last change in its manifest is not whole: %w", err)
		}
		if _, err := io.CopyN(io.Discard, in, int64(binary.BigEndian.Uint32(head))); err != nil {
			return fmt.Errorf("the last change in its manifest is not whole: %w", err)
		}
	}
}
