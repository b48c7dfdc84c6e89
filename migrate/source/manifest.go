package source

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A manifest says which tables an engine has, one change after another. Pebble
// and both badgers take the first change that is damaged for the end of it, and
// would then not know all tables, or know those that were replaced: pins would
// be missing, and removed ones come back.

// pebbleFlushed is what a manifest of pebble says of the logs.
type pebbleFlushed struct {
	log    uint64 // the first log that is needed
	change uint64 // the last change that any log had when that was written, 0 if it is not said
}

// pebbleStart is the number of the first change of all.
const pebbleStart = 10

// readPebbleManifest reads the manifest of pebble to its end.
func readPebbleManifest(folder string) (flushed pebbleFlushed, err error) {
	desc, err := pebble.Peek(folder, vfs.Default)
	if err != nil && strings.Contains(err.Error(), "unknown format major version") {
		return flushed, &newer{err}
	}
	if err != nil {
		return flushed, err
	}
	if !desc.Exists {
		return flushed, errors.New("it has no manifest")
	}
	file, err := os.Open(desc.ManifestFilename)
	if err != nil {
		return flushed, err
	}
	defer file.Close()
	flushed.change = pebbleStart - 1
	in := record.NewReader(file, 0)
	for {
		change, err := in.Next()
		if errors.Is(err, io.EOF) {
			return flushed, nil
		}
		var text []byte
		if err == nil {
			text, err = io.ReadAll(change)
		}
		if err != nil {
			return flushed, fmt.Errorf("its manifest: %w", err)
		}
		flushed.follow(text)
	}
}

// Kinds of what a change in a manifest of pebble begins with. One number follows, or
// as many as it says here.
const (
	pebbleComparer    = 1 // the length of a name, and the name
	pebbleLogNumber   = 2
	pebbleNextFile    = 3
	pebbleLastChange  = 4
	pebbleOldLog      = 9
	pebbleMadeTable   = 105 // two
	pebbleRemovedFile = 106
)

// follow takes up a change that says which log is needed.
func (f *pebbleFlushed) follow(text []byte) {
	next := func() uint64 {
		number, n := binary.Uvarint(text)
		text = text[max(n, 0):]
		if n <= 0 {
			text = nil
		}
		return number
	}
	var now pebbleFlushed
	for len(text) > 0 {
		switch next() {
		case pebbleComparer:
			text = text[min(next(), uint64(len(text))):]
		case pebbleLogNumber:
			now.log = next()
		case pebbleLastChange:
			now.change = next()
		case pebbleNextFile, pebbleOldLog, pebbleRemovedFile:
			next()
		case pebbleMadeTable:
			next()
			next()
		default:
			text = nil // it is about tables from here on
		}
	}
	if now.log != 0 {
		*f = now
	}
}

// The versions of the manifests that both badgers know.
const (
	badgerVersion  = 4
	badger3Version = 8
)

// checkBadgerManifest makes sure that the version of a manifest of badger is not a later
// one, and its last change whole. Badger itself looks at the checksums of those that are.
func checkBadgerManifest(name string, known uint32) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReader(file)
	head := make([]byte, 8)
	if _, err := io.ReadFull(in, head); err != nil {
		return fmt.Errorf("its manifest: %w", err)
	}
	if version := binary.BigEndian.Uint32(head[4:]); string(head[:4]) == "Bdgr" && version > known {
		return &newer{fmt.Errorf("its manifest has version %d, and %d is known", version, known)}
	}
	for { // a length and a checksum are before each change
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
