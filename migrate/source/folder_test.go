package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
	p := stoppedCRDT(t, "pebble")
	daemonLocks(t, p.folder)
	_, err := Open(t.Context(), p.from(), Options{})
	wantError(t, err, "in use: stop the daemon first")
}

// TestDaemonCannotStartWhileItIsRead, if its lock file was left behind.
func TestDaemonCannotStartWhileItIsRead(t *testing.T) {
	p := stoppedCRDT(t, "leveldb")
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

// TestFoldersThatAreNone: each mistake has an error that says what to do.
func TestFoldersThatAreNone(t *testing.T) {
	p := stoppedCRDT(t, "leveldb")
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
