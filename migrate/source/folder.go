package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	configFile = "service.json"
	lockFile   = "cluster.lock"
)

// folder is the folder of a stopped peer. It is not the current one of any
// process while it is open.
type folder struct {
	path      string
	consensus map[string]json.RawMessage
	datastore map[string]json.RawMessage
	lock      io.Closer
}

// openFolder reads the configuration of the peer whose folder it is given, and
// keeps its daemon from starting. The peer must be of that kind, crdt or raft.
func openFolder(kind, name string) (*folder, error) {
	where, err := realPath(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("there is no such folder")
	}
	if err != nil {
		return nil, fmt.Errorf("finding the folder: %w", err)
	}
	f := &folder{path: where}
	if err := f.read(kind); err != nil {
		return nil, err
	}
	f.lock, err = shareFile(filepath.Join(where, lockFile))
	if errors.Is(err, errInUse) {
		return nil, fmt.Errorf("the folder %s is in use: stop the daemon first", where)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the folder: %w", err)
	}
	return f, nil
}

func (f *folder) close() error { return f.lock.Close() }

// read reads service.json. What environment variables may have changed in it
// for the daemon is not known here.
func (f *folder) read(kind string) error {
	if info, err := os.Stat(f.path); err != nil {
		return fmt.Errorf("reading the folder: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("it is a file: use %s:FOLDER with the folder of a peer, the one that has a %s in it", kind, configFile)
	}
	raw, err := os.ReadFile(filepath.Join(f.path, configFile))
	if errors.Is(err, fs.ErrNotExist) {
		parent := filepath.Dir(f.path)
		if _, err := os.Stat(filepath.Join(parent, configFile)); err == nil {
			return fmt.Errorf("it is a part of the folder of a peer: use %s:%s", kind, parent)
		}
		return fmt.Errorf("it has no %s: give the folder of a peer, such as ~/.ipfs-cluster", configFile)
	}
	if err != nil {
		return fmt.Errorf("reading the configuration of the peer: %w", err)
	}
	var config struct {
		Source    string                     `json:"source"`
		Consensus map[string]json.RawMessage `json:"consensus"`
		State     map[string]json.RawMessage `json:"state"`
		Datastore map[string]json.RawMessage `json:"datastore"`
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return fmt.Errorf("its %s is not valid: %w", configFile, err)
	}
	if config.Source != "" {
		return fmt.Errorf("its %s only says from where the daemon loads its configuration: put the configuration itself there", configFile)
	}
	f.consensus, f.datastore = config.Consensus, config.Datastore
	if _, scylla := config.State["scylla"]; scylla && len(f.consensus) == 0 {
		return fmt.Errorf("it is the folder of a peer whose pins are in a database: use cql:HOSTS/KEYSPACE, or put its old %s back, with the consensus section", configFile)
	}
	return f.check(kind)
}

// check makes sure that the peer is of that kind.
func (f *folder) check(kind string) error {
	has := func(name string) bool { _, ok := f.consensus[name]; return ok }
	switch {
	case has(kind):
		return nil
	case has("crdt"):
		return fmt.Errorf("it is the folder of a crdt peer: use crdt:%s", f.path)
	case has("raft"):
		return fmt.Errorf("it is the folder of a raft peer: use raft:%s", f.path)
	default:
		return fmt.Errorf("its %s names no consensus that is known: it has %s where crdt or raft is expected", configFile, names(f.consensus))
	}
}

// section decodes one section of service.json. One that is missing is empty.
func section(raw json.RawMessage, name string, into any) error {
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s of its %s is not valid: %w", name, configFile, err)
	}
	return nil
}

// inFolder returns where a path of service.json leads.
func (f *folder) inFolder(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(f.path, name)
}

func names(of map[string]json.RawMessage) string {
	if len(of) == 0 {
		return "nothing"
	}
	return strings.Join(slices.Sorted(maps.Keys(of)), ", ")
}
