package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
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
	"github.com/ipfs/boxo/datastore/dshelp"
	ds "github.com/ipfs/go-datastore"
	pebbleds "github.com/ipfs/go-ds-pebble"
)

// stores opens the datastores as upstream does, with smaller tables.
var stores = map[string]func(folder string) (ds.Datastore, error){
	"pebble": func(folder string) (ds.Datastore, error) {
		// As upstream's New, which leaves a goroutine behind.
		var cfg upstreampebble.Config
		if err := cfg.Default(); err != nil {
			return nil, err
		}
		cfg.PebbleOptions.Cache.Unref()
		cfg.PebbleOptions.Cache = pebble.NewCache(4 << 20)
		cfg.PebbleOptions.MemTableSize = 64 << 10
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
		return pebbleds.NewDatastore(folder, pebbleds.WithPebbleOpts(&cfg.PebbleOptions))
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

// TestCRDTHasThePinsOfOfflineState: what comes out is what upstream lists.
func TestCRDTHasThePinsOfOfflineState(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := startCRDT(t, kind)
		listed := make(map[string]api.Pin)
		out := make(chan api.Pin, 10_000)
		ok(t, p.state(t).List(t.Context(), out))
		for pin := range out {
			listed[pin.Cid.String()] = pin
		}
		p.stop(t)
		untouched(t, p.folder)
		s := open(t, p.from())
		got := readAll(t, s)
		sameValues(t, got.values, p.want)
		if len(got.bad) > 0 || len(got.records) != len(p.want) || len(listed) != len(p.want) {
			t.Errorf("%d records and %d bad ones, upstream lists %d, want %d", len(got.records), len(got.bad), len(listed), len(p.want))
		}
		for c, value := range got.values {
			var pin api.Pin
			ok(t, pin.ProtoUnmarshal(value))
			if up := listed[c]; !bytes.Equal(valueOf(t, up), valueOf(t, pin)) {
				t.Errorf("%s: got %v, upstream has %v", c, pin, up)
			}
		}
		counts(t, s, len(p.want))
		resumes(t, s, 17)
		if len(s.Warnings()) > 0 {
			t.Error(s.Warnings())
		}
		real, err := realPath(p.folder)
		ok(t, err)
		if s.ID() != "crdt:"+real || s.Fingerprint() == "" {
			t.Errorf("ID %q, fingerprint %q", s.ID(), s.Fingerprint())
		}
		ok(t, s.Close())
		p.canStart(t, kind)
	})
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

// TestCRDTFingerprintChanges with each change, and only then.
func TestCRDTFingerprintChanges(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := startCRDT(t, kind)
		p.stop(t)
		fingerprint := func() string {
			s, err := Open(t.Context(), p.from(), Options{})
			ok(t, err)
			defer s.Close()
			return s.Fingerprint()
		}
		before := fingerprint()
		if again := fingerprint(); again != before {
			t.Errorf("%q became %q without a change", before, again)
		}
		p.open(t, kind)
		st := p.state(t)
		for _, pin := range samplePins(t, 1) {
			ok(t, st.Rm(t.Context(), pin.Cid))
		}
		ok(t, st.Commit(t.Context()))
		p.stop(t)
		if after := fingerprint(); after == before {
			t.Error("it did not change with the pins")
		}
	})
}

// TestCRDTInUseIsRefused: by the lock of the datastore, and by that of the daemon.
func TestCRDTInUseIsRefused(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := startCRDT(t, kind)
		_, err := Open(t.Context(), p.from(), Options{})
		wantError(t, err, "in use: stop the daemon first")
		if !errors.Is(err, errInUse) {
			t.Error(err)
		}
		p.stop(t)
	})
	p := startCRDT(t, "pebble")
	p.stop(t)
	daemonLocks(t, p.folder)
	_, err := Open(t.Context(), p.from(), Options{})
	wantError(t, err, "in use: stop the daemon first")
}

// TestDaemonCannotStartWhileItIsRead, if its lock file was left behind.
func TestDaemonCannotStartWhileItIsRead(t *testing.T) {
	p := startCRDT(t, "leveldb")
	p.stop(t)
	lock := filepath.Join(p.folder, lockFile)
	ok(t, os.WriteFile(lock, nil, 0o600))
	check := watch(t, p.folder)
	s := open(t, p.from())
	readAll(t, s)
	check()
	if out := tryLock(t, p.folder); !strings.Contains(out, "someone else has the lock") {
		t.Error(out)
	}
	ok(t, s.Close())
}

// killedPeer is what the process of TestWriteAsAPeer writes, and then waits to be
// killed.
const killedPeer = "SOURCE_TEST_KILLED_PEER"

func TestWriteAsAPeer(t *testing.T) {
	kind := os.Getenv(killedPeer)
	if kind == "" {
		t.Skip("only for TestCRDTKilledPeer")
	}
	p := startCRDT(t, kind)
	fmt.Println("written", p.folder)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// TestCRDTKilledPeer: what a peer has written before it was killed is there, or
// there is a clear error; and nothing is repaired.
func TestCRDTKilledPeer(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWriteAsAPeer$")
		cmd.Env = append(os.Environ(), killedPeer+"="+kind, "TMPDIR="+t.TempDir())
		_, err := cmd.StdinPipe()
		ok(t, err)
		stdout, err := cmd.StdoutPipe()
		ok(t, err)
		ok(t, cmd.Start())
		var folder string
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
		untouched(t, folder)
		s, err := Open(t.Context(), "crdt:"+folder, Options{})
		if kind == "badger" {
			wantError(t, err, "was not closed, or is damaged: start the peer once and stop it again")
			return
		}
		ok(t, err)
		sameValues(t, readAll(t, s).values, wantCRDT(t))
		resumes(t, s, 50)
		ok(t, s.Close())
	})
}

// wantCRDT is what a peer of startCRDT has.
func wantCRDT(t *testing.T) map[string][]byte {
	t.Helper()
	p := startCRDT(t, "leveldb")
	p.stop(t)
	return p.want
}

// TestCRDTCopyOfRunningPeer has all its pins, or there is a clear error, and
// nothing is repaired.
func TestCRDTCopyOfRunningPeer(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := startCRDT(t, kind)
		folder := copyFolder(t, p.folder)
		p.stop(t)
		untouched(t, folder)
		s, err := Open(t.Context(), "crdt:"+folder, Options{})
		if err != nil {
			wantError(t, err, filepath.Join(folder, kind), "peer")
			return
		}
		sameValues(t, readAll(t, s).values, p.want)
		ok(t, s.Close())
	})
}

// TestCRDTCutCopy: with the end of a log missing there is an error, or all of
// the pins; they are not fewer, and nothing is repaired.
func TestCRDTCutCopy(t *testing.T) {
	for kind, pattern := range map[string]string{"badger": "*.vlog", "badger3": "*.mem", "leveldb": "*.log", "pebble": "MANIFEST-*"} {
		t.Run(kind, func(t *testing.T) {
			p := startCRDT(t, kind)
			folder := copyFolder(t, p.folder)
			p.stop(t)
			cut(t, filepath.Join(folder, kind), pattern)
			untouched(t, folder)
			s, err := Open(t.Context(), "crdt:"+folder, Options{})
			if err != nil {
				wantError(t, err, filepath.Join(folder, kind), "peer")
				return
			}
			got, err := readFrom(t, s, Position{})
			ok(t, s.Close())
			if err == nil {
				sameValues(t, got.values, p.want)
			}
		})
	}
}

// cut removes the last bytes that are not zero of the last file of that name.
func cut(t *testing.T, folder, pattern string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	ok(t, err)
	if len(files) == 0 {
		t.Fatalf("no %s in %s", pattern, folder)
	}
	name := files[len(files)-1]
	raw, err := os.ReadFile(name)
	ok(t, err)
	used := len(bytes.TrimRight(raw, "\x00"))
	ok(t, os.WriteFile(name, raw[:used-7], 0o600))
}

// TestCRDTDamageIsAnError: no pin goes missing because a file is damaged.
func TestCRDTDamageIsAnError(t *testing.T) {
	for _, c := range []struct{ kind, pattern string }{
		{"pebble", "*.sst"}, {"badger", "*.sst"}, {"badger", "*.vlog"},
		{"badger3", "*.sst"}, {"badger3", "*.vlog"}, {"leveldb", "*.ldb"},
	} {
		t.Run(c.kind+" "+c.pattern, func(t *testing.T) {
			p := startCRDT(t, c.kind)
			p.stop(t)
			// The pins are in one half of the tables, blocks in the other.
			damageAll(t, filepath.Join(p.folder, c.kind), c.pattern)
			untouched(t, p.folder)
			s, err := Open(t.Context(), p.from(), Options{})
			if err == nil {
				_, err = readFrom(t, s, Position{})
				ok(t, s.Close())
			}
			wantError(t, err, "the datastore "+filepath.Join(p.folder, c.kind)+" is damaged")
		})
	}
}

// damageAll flips a bit in every 512th byte of the files.
func damageAll(t *testing.T, folder, pattern string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	ok(t, err)
	var changed int
	for _, name := range files {
		raw, err := os.ReadFile(name)
		ok(t, err)
		for i := 256; i < len(raw)-256; i += 512 {
			raw[i] ^= 4
			changed++
		}
		ok(t, os.WriteFile(name, raw, 0o600))
	}
	if changed == 0 {
		t.Fatalf("no %s in %s is large enough", pattern, folder)
	}
}

// TestCRDTWarnings are given of data that is not complete.
func TestCRDTWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, store ds.Datastore) error
		want   string
	}{
		"dirty": {func(t *testing.T, store ds.Datastore) error { return store.Put(t.Context(), ds.NewKey("/c/d"), nil) }, "mark-clean"},
		"old version": {func(t *testing.T, store ds.Datastore) error {
			return store.Delete(t.Context(), ds.NewKey("/c/crdt_version"))
		}, "1.1.2"},
	} {
		eachStore(t, func(t *testing.T, kind string) {
			t.Run(name, func(t *testing.T) {
				p := startCRDT(t, kind)
				ok(t, c.change(t, p.store))
				p.stop(t)
				s := open(t, p.from())
				if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], c.want) {
					t.Errorf("got %q, want one with %q", w, c.want)
				}
				sameValues(t, readAll(t, s).values, p.want)
			})
		})
	}
}

// TestCRDTBadRecords are counted, named and do not end the reading.
func TestCRDTBadRecords(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := startCRDT(t, kind)
		var some string
		for _, pin := range samplePins(t, 300)[200:201] {
			delete(p.want, pin.Cid.String())
			some = "/c/s/k" + dshelp.NewKeyFromBinary(pin.Cid.Bytes()).String() + "/v"
			ok(t, p.store.Put(t.Context(), ds.NewKey(some), nil))
		}
		ok(t, p.store.Put(t.Context(), ds.NewKey("/c/s/k/no base32!/v"), []byte("x")))
		ok(t, p.store.Put(t.Context(), ds.NewKey("/c/s/k/AAAA/v"), []byte("x")))
		ok(t, p.store.Put(t.Context(), ds.NewKey("/c/s/kk/AAAA/v"), []byte("x")))
		p.stop(t)
		s := open(t, p.from())
		got := readAll(t, s)
		sameValues(t, got.values, p.want)
		var at []string
		for _, b := range got.bad {
			at = append(at, b.At)
		}
		for _, want := range []string{some, "/c/s/k/no base32!/v", "/c/s/k/AAAA/v"} {
			if !strings.Contains(strings.Join(at, "\n"), want) {
				t.Errorf("bad records at %q, want one at %s", at, want)
			}
		}
		if len(at) != 3 {
			t.Errorf("bad records at %q", at)
		}
		counts(t, s, len(p.want)+3)
	})
}

// TestCRDTEndsWithItsCaller: with the error of either function, or the context.
func TestCRDTEndsWithItsCaller(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := startCRDT(t, kind)
		p.stop(t)
		s := open(t, p.from())
		n := 0
		err := s.Read(t.Context(), Position{}, func(Record) error {
			if n++; n == 5 {
				return errStop
			}
			return nil
		}, nil)
		if !errors.Is(err, errStop) || n != 5 {
			t.Errorf("%v after %d records", err, n)
		}
		if err := s.Read(canceled(t), Position{}, nil, nil); !errors.Is(err, canceled(t).Err()) {
			t.Error(err)
		}
	})
}

// TestFoldersThatAreNone: each mistake has an error that says what to do.
func TestFoldersThatAreNone(t *testing.T) {
	p := startCRDT(t, "leveldb")
	p.stop(t)
	folder, err := realPath(p.folder)
	ok(t, err)
	with := func(text string) string {
		dir := t.TempDir()
		ok(t, os.WriteFile(filepath.Join(dir, configFile), []byte(text), 0o600))
		return dir
	}
	for _, c := range []struct{ from, want string }{
		{"crdt:" + folder + "/leveldb", "use crdt:" + folder},
		{"raft:" + folder, "use crdt:" + folder},
		{"crdt:" + folder + "/service.json", "it is a file"},
		{"crdt:" + folder + "/nothing", "there is no such folder"},
		{"crdt:" + t.TempDir(), "has no service.json"},
		{"crdt:" + with("{"), "not valid"},
		{"crdt:" + with(`{"source":"http://example/"}`), "put the configuration itself there"},
		{"crdt:" + with(`{"consensus":{"raft":{}}}`), "is the folder of a raft peer: use raft:"},
		{"crdt:" + with(`{"state":{"scylla":{}}}`), "use cql:"},
		{"crdt:" + with(`{}`), "names no consensus"},
		{"crdt:" + with(`{"consensus":{"crdt":{}},"datastore":{}}`), "where one of badger"},
		{"crdt:" + with(`{"consensus":{"crdt":{}},"datastore":{"a":{},"b":{}}}`), "has a, b where one of"},
		{"crdt:" + with(`{"consensus":{"crdt":{}},"datastore":{"flatfs":{}}}`), "unknown"},
		{"crdt:" + with(`{"consensus":{"crdt":{}},"datastore":{"pebble":{}}}`), "does not exist"},
		{"raft:" + with(`{"consensus":{"raft":{}}}`), "does not exist"},
	} {
		_, err := Open(t.Context(), c.from, Options{})
		wantError(t, err, c.want)
	}
}

// TestCRDTElsewhere: the folder and the namespace of service.json count.
func TestCRDTElsewhere(t *testing.T) {
	p := startCRDT(t, "leveldb")
	p.stop(t)
	ok(t, os.Rename(filepath.Join(p.folder, "leveldb"), filepath.Join(p.folder, "other")))
	config := func(datastore, namespace string) {
		ok(t, os.WriteFile(filepath.Join(p.folder, configFile), fmt.Appendf(nil,
			`{"consensus":{"crdt":{"datastore_namespace":%q}},"datastore":{"leveldb":{"folder":%q}}}`, namespace, datastore), 0o600))
	}
	for _, datastore := range []string{"other", filepath.Join(p.folder, "other")} {
		config(datastore, "")
		sameValues(t, readAll(t, open(t, p.from())).values, p.want)
	}
	config("other", "/elsewhere")
	s := open(t, p.from())
	if got := readAll(t, s); len(got.records) != 0 || !strings.Contains(strings.Join(s.Warnings(), ""), "/elsewhere") {
		t.Errorf("%d records, warnings %q", len(got.records), s.Warnings())
	}
}
