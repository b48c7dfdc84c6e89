package source

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/consensus/crdt"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/badger"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/badger3"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/leveldb"
	upstreampebble "github.com/ipfs-cluster/ipfs-cluster/datastore/pebble"
	"github.com/ipfs-cluster/ipfs-cluster/state"
	ds "github.com/ipfs/go-datastore"
	pebbleds "github.com/ipfs/go-ds-pebble"
)

// stores opens the datastores as upstream does, with smaller tables.
var stores = map[string]func(folder string) (ds.Datastore, error){
	"pebble": func(folder string) (ds.Datastore, error) {
		return pebbleWith(folder, func(*pebble.Options) {})
	},
	"badger": func(folder string) (ds.Datastore, error) {
		var cfg badger.Config
		if err := cfg.Default(); err != nil {
			return nil, err
		}
		cfg.Folder = folder
		cfg.BadgerOptions.MaxTableSize = 1 << 20
		return badger.New(&cfg)
	},
	"badger3": func(folder string) (ds.Datastore, error) {
		var cfg badger3.Config
		if err := cfg.Default(); err != nil {
			return nil, err
		}
		cfg.Folder = folder
		cfg.BadgerOptions.MemTableSize = 1 << 20
		cfg.BadgerOptions.ValueLogFileSize = 8 << 20
		return badger3.New(&cfg)
	},
	"leveldb": func(folder string) (ds.Datastore, error) {
		var cfg leveldb.Config
		if err := cfg.Default(); err != nil {
			return nil, err
		}
		cfg.Folder = folder
		cfg.LevelDBOptions.WriteBuffer = 64 << 10
		return leveldb.New(&cfg)
	},
}

// pebbleWith opens pebble as upstream's New, which leaves a goroutine behind.
func pebbleWith(folder string, change func(*pebble.Options)) (ds.Datastore, error) {
	var cfg upstreampebble.Config
	if err := cfg.Default(); err != nil {
		return nil, err
	}
	cfg.PebbleOptions.Cache.Unref()
	cfg.PebbleOptions.Cache = pebble.NewCache(4 << 20)
	cfg.PebbleOptions.MemTableSize = 64 << 10
	change(&cfg.PebbleOptions)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	return pebbleds.NewDatastore(folder, pebbleds.WithPebbleOpts(&cfg.PebbleOptions))
}

// crdtPeer is a crdt peer that is running.
type crdtPeer struct {
	folder string
	store  ds.Datastore
	want   map[string][]byte
}

func (p *crdtPeer) stop(t *testing.T) {
	t.Helper()
	ok(t, p.store.Close())
}

func (p *crdtPeer) from() string { return "crdt:" + p.folder }

// stopped are the peers of stoppedCRDT by their stores, in a folder that TestMain
// makes and removes.
var stopped struct {
	folder string
	peers  map[string]*crdtPeer
}

// stoppedCRDT is a copy of a peer that startCRDT has made and that was stopped. Each
// store is written once, as that takes longer than most tests.
func stoppedCRDT(t *testing.T, kind string) *crdtPeer {
	t.Helper()
	first := stopped.peers[kind]
	if first == nil {
		first = startCRDT(t, kind)
		first.stop(t)
		folder := filepath.Join(stopped.folder, kind)
		ok(t, os.Rename(first.folder, folder))
		first.folder = folder
		stopped.peers[kind] = first
	}
	return &crdtPeer{folder: copyFolder(t, first.folder), want: maps.Clone(first.want)}
}

// startCRDT makes the folder of a peer with some hundred pins, of which some
// have been removed and some of these added again.
func startCRDT(t *testing.T, kind string) *crdtPeer {
	t.Helper()
	p := &crdtPeer{folder: t.TempDir(), want: make(map[string][]byte)}
	writeConfig(t, p.folder, "crdt", map[string]any{kind: map[string]any{}})
	p.open(t, kind)
	st := p.state(t)
	pins := samplePins(t, 400)
	for i, pin := range pins {
		ok(t, st.Add(t.Context(), pin))
		p.want[pin.Cid.String()] = valueOf(t, pin)
		if i%50 == 49 {
			ok(t, st.Commit(t.Context()))
		}
	}
	ok(t, st.Commit(t.Context()))
	for i, pin := range pins[:120] {
		if i%3 == 0 {
			ok(t, st.Rm(t.Context(), pin.Cid))
			delete(p.want, pin.Cid.String())
		}
	}
	ok(t, st.Commit(t.Context()))
	for i, pin := range pins[:120] {
		if i%9 == 0 {
			pin.Name = "again"
			ok(t, st.Add(t.Context(), pin))
			p.want[pin.Cid.String()] = valueOf(t, pin)
		}
	}
	ok(t, st.Commit(t.Context()))
	ok(t, p.store.Sync(t.Context(), ds.NewKey("/")))
	return p
}

func (p *crdtPeer) open(t *testing.T, kind string) {
	t.Helper()
	var err error
	p.store, err = stores[kind](filepath.Join(p.folder, kind))
	ok(t, err)
}

func (p *crdtPeer) state(t *testing.T) state.BatchingState {
	t.Helper()
	var cfg crdt.Config
	ok(t, cfg.Default())
	st, err := crdt.OfflineState(&cfg, p.store)
	ok(t, err)
	return st
}

func eachStore(t *testing.T, test func(t *testing.T, kind string)) {
	t.Helper()
	for kind := range stores {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

// canStart checks that a peer finds all its pins again.
func (p *crdtPeer) canStart(t *testing.T, kind string) {
	t.Helper()
	again := &crdtPeer{folder: copyFolder(t, p.folder)}
	again.open(t, kind)
	out := make(chan api.Pin, 10_000)
	ok(t, again.state(t).List(t.Context(), out))
	if len(out) != len(p.want) {
		t.Errorf("the peer has %d pins afterwards, want %d", len(out), len(p.want))
	}
	again.stop(t)
}

// killedPeer is what the process of TestWriteAsAPeer writes, and then waits to be
// killed.
const killedPeer = "SOURCE_TEST_KILLED_PEER"

func TestWriteAsAPeer(t *testing.T) {
	kind := os.Getenv(killedPeer)
	if kind == "" {
		t.Skip("no test: TestCRDTKilledPeer runs it in a process of its own, with " + killedPeer)
	}
	p := startCRDT(t, kind)
	fmt.Println("written", p.folder)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// killPeer returns the folder of a peer that was killed when it had written.
func killPeer(t *testing.T, kind string) (folder string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriteAsAPeer$")
	cmd.Env = append(os.Environ(), killedPeer+"="+kind, "TMPDIR="+t.TempDir())
	_, err := cmd.StdinPipe()
	ok(t, err)
	stdout, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	for out := bufio.NewScanner(stdout); folder == "" && out.Scan(); {
		folder, _ = strings.CutPrefix(out.Text(), "written ")
		if folder == out.Text() {
			folder = ""
		}
	}
	ok(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if folder == "" {
		t.Fatal("the peer did not write")
	}
	return folder
}

// wantCRDT is what a peer of startCRDT has.
func wantCRDT(t *testing.T) map[string][]byte {
	t.Helper()
	return stoppedCRDT(t, "leveldb").want
}
