package main

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

// TestStarting shows that a server which is being started is not taken for none:
// its data would be deleted under it.
func TestStarting(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := running(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nobody runs: %v", err)
	}
	lock, err := tryLock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := os.MkdirAll(dataDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := running(); !errors.Is(err, errStarting) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one is starting: %v", err)
	}
	for name, run := range map[string]func() error{
		"up":   func() error { return runUp(t.Context()) },
		"down": func() error { return runDown(t.Context()) },
	} {
		if err := run(); !errors.Is(err, errStarting) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(dataDir()); err != nil {
			t.Errorf("%s: the data are gone: %v", name, err)
		}
	}
}
