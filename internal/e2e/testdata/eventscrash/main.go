// Command crash-events is what TestEventsCrashMatrix kills beside peers: a NATS server, and
// a consumer that keeps what it is told in files. It is built with points at which it is
// killed.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/embedded"
)

func main() {
	logging.SetAllLoggers(logging.LevelInfo)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	what, dir, address := os.Args[1], os.Args[2], os.Args[3]
	do := serve
	if what == "consume" {
		do = receive
	}
	if err := do(ctx, dir, address); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(1)
	}
}

// serve is a NATS server with its data in a folder.
func serve(ctx context.Context, dir, listen string) error {
	server, err := embedded.Start(ctx, embedded.Config{Folder: dir, Listen: listen})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return server.Close(context.Background())
}

// receive is a consumer that keeps its state and a table in a folder.
func receive(ctx context.Context, dir, url string) error {
	b, err := bus.Connect(bus.Config{URLs: []string{url}, Name: "crash", Cluster: "ipfs-cluster"})
	if err != nil {
		return err
	}
	t, err := openTable(dir)
	if err != nil {
		return err
	}
	c, err := consume.New(consume.Options{
		Bus: b, Name: "crash", State: folder(dir), Handler: t.handle,
		Takeover: 3 * time.Second, AskAgain: 5 * time.Second,
	})
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

// folder is a consume.State.
type folder string

func (f folder) Load(_ context.Context, name string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(string(f), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

func (f folder) Save(_ context.Context, name string, state []byte) error {
	path := filepath.Join(string(f), name)
	file, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	_, err = file.Write(state)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	dir, err := os.Open(string(f))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// row is one call of the handler, as the test reads it.
type row struct {
	Run                        int64 // the process
	Key, Version, Kind, Of, Is string
}

// table is a file with the rows, in order. What is newest for a key counts, so that a row
// that comes again is no harm.
type table struct {
	mu   sync.Mutex
	dir  string
	file *os.File
}

// openTable drops the end of a line that was not written whole.
func openTable(dir string) (*table, error) {
	file, err := os.OpenFile(filepath.Join(dir, "table"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file.Name())
	if err == nil {
		err = file.Truncate(int64(bytes.LastIndexByte(text, '\n') + 1))
	}
	return &table{dir: dir, file: file}, err
}

func (t *table) handle(_ context.Context, e events.Event) error {
	refused, err := os.ReadFile(filepath.Join(t.dir, "refuse"))
	if err == nil && strings.TrimSpace(string(refused)) == e.Subject() {
		return fmt.Errorf("%w: as the test wants", consume.ErrRefused)
	}
	r := row{Run: int64(os.Getpid()), Key: e.Key(), Version: string(e.Version()), Kind: e.Type.Kind()}
	switch {
	case e.Pin != nil && (e.Pin.Pin != nil || e.Pin.Omitted != ""):
		r.Is = "there"
	case e.Status != nil:
		r.Of, r.Is = string(e.Status.Version), e.Status.Status
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := t.file.Write(append(line, '\n')); err != nil {
		return err
	}
	return t.file.Sync()
}
