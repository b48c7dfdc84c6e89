package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	ds "github.com/ipfs/go-datastore"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/snapshot"
)

// datastores are what a crdt peer can keep its pins in: the name in service.json,
// which is also the default folder, and how it is opened.
var datastores = map[string]func(folder string, config []byte) (engine, error){ //nolint:gochecknoglobals // a table that nobody writes to
	"pebble":  openPebble,
	"badger":  openBadger,
	"badger3": openBadger3,
	"leveldb": openLevelDB,
}

// crdtSource is the pins of a crdt peer. A key /c/s/k/CID/v has the value of a
// pin; it is not there for a pin that is removed.
type crdtSource struct {
	folder      *folder
	where       string // the folder of the datastore
	store       engine
	root        ds.Key
	prefix      []byte
	fingerprint string
	warnings    []string
}

func openCRDT(ctx context.Context, name string) (Source, error) {
	f, err := openFolder("crdt", name)
	if err != nil {
		return nil, err
	}
	s, err := f.openCRDT(ctx)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return s, nil
}

func (f *folder) openCRDT(ctx context.Context) (*crdtSource, error) {
	config := struct {
		Namespace string `json:"datastore_namespace"`
	}{}
	if err := section(f.consensus["crdt"], "consensus.crdt", &config); err != nil {
		return nil, err
	}
	if config.Namespace == "" {
		config.Namespace = "/c"
	}
	root := ds.NewKey(config.Namespace)
	s := &crdtSource{folder: f, root: root, prefix: []byte(root.ChildString("s").ChildString("k").String() + "/")}
	if err := s.openStore(); err != nil {
		return nil, err
	}
	if err := s.look(ctx); err != nil {
		return nil, errors.Join(err, s.store.close())
	}
	return s, nil
}

// openStore opens the datastore that service.json names.
func (s *crdtSource) openStore() error {
	sections := s.folder.datastore
	if len(sections) != 1 {
		return fmt.Errorf("the datastore section of its %s has %s where one of badger, badger3, leveldb and pebble is expected", configFile, names(sections))
	}
	for kind, raw := range sections {
		open, ok := datastores[kind]
		if !ok {
			return fmt.Errorf("its %s has the datastore %q, which is unknown", configFile, kind)
		}
		var config struct {
			Folder string `json:"folder"`
		}
		if err := section(raw, "datastore."+kind, &config); err != nil {
			return err
		}
		if config.Folder == "" {
			config.Folder = kind
		}
		s.where = s.folder.inFolder(config.Folder)
		if _, err := os.Stat(s.where); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("its datastore %s does not exist: the peer has never been started, or keeps it elsewhere", s.where)
		}
		var err error
		s.store, err = open(s.where, raw)
		return s.explain(err)
	}
	return nil
}

// explain says what an error of the engine means, and leaves others as they are.
func (s *crdtSource) explain(err error) error {
	if err == nil || s.store != nil && !isDamage(err) {
		return err // of who reads
	}
	what := trouble(err)
	err = nameFolder(err, s.where)
	switch {
	case what != "":
		return fmt.Errorf("the datastore %s cannot be read: %s: %w", s.where, what, err)
	case errors.Is(err, errInUse):
		return fmt.Errorf("the datastore %s is in use: stop the daemon first: %w", s.where, err)
	case errors.As(err, new(*newer)):
		return fmt.Errorf("the datastore %s was written by a later version of it: use a later version of this program: %w", s.where, err)
	case errors.As(err, new(*unclean)):
		return fmt.Errorf("the datastore %s was not closed, or is damaged: start the peer once and stop it again, or copy the folder only after it has stopped: %w", s.where, err)
	case isDamage(err):
		return fmt.Errorf("the datastore %s is damaged, or was copied while the peer was running: %w", s.where, err)
	}
	return fmt.Errorf("opening the datastore %s: %w", s.where, err)
}

func (s *crdtSource) ID() string          { return "crdt:" + s.folder.path }
func (s *crdtSource) Fingerprint() string { return s.fingerprint }
func (s *crdtSource) Warnings() []string  { return s.warnings }
func (s *crdtSource) MayLack() bool       { return len(s.warnings) > 0 } // that is what all of them are about
func (s *crdtSource) ReadOnce() bool      { return false }

func (s *crdtSource) Close() error {
	return errors.Join(s.store.close(), s.folder.close())
}

// progressEvery is how many records are counted between two reports of progress.
const progressEvery = 10_000

func (s *crdtSource) Count(ctx context.Context, progress func(int64)) (int64, error) {
	var n int64
	err := s.store.iterate(ctx, s.prefix, nil, func(key []byte, _ func() ([]byte, error)) error {
		if bytes.HasSuffix(key, []byte("/v")) {
			if n++; n%progressEvery == 0 {
				progress(n)
			}
		}
		return nil
	})
	return n, s.explain(err)
}

func (s *crdtSource) Read(ctx context.Context, from Position, f func(Record) error, bad func(Bad) error) error {
	n := from.Records
	var start []byte
	if len(from.Key) > 0 {
		start = append(bytes.Clone(from.Key), 0)
	}
	err := s.store.iterate(ctx, s.prefix, start, func(key []byte, value func() ([]byte, error)) error {
		name, ok := bytes.CutSuffix(key[len(s.prefix):], []byte("/v"))
		if !ok {
			return nil // the priority of a pin
		}
		v, err := value()
		if err != nil {
			return err
		}
		n++
		after := Position{Key: bytes.Clone(key), Records: n}
		c, err := snapshot.ParseKey(string(name))
		switch {
		case err != nil:
			err = fmt.Errorf("its key is no CID: %w", err)
		case len(v) == 0:
			err = errors.New("its value is empty")
		}
		if err != nil {
			return bad(Bad{At: readable(after.Key), Err: err, After: after})
		}
		return f(Record{Cid: c, Value: v, After: after})
	})
	return s.explain(err)
}

// readable returns a key as it can be shown.
func readable(key []byte) string {
	quoted := strconv.Quote(string(key))
	if plain := strings.Trim(quoted, `"`); plain == string(key) {
		return plain
	}
	return quoted
}
