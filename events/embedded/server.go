package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	fslock "github.com/ipfs/go-fs-lock"
	"github.com/nats-io/nats-server/v2/server"
)

// lockFile is in the folder of a server while it runs, and stays there.
const lockFile = "events.lock"

// Errors of Start match these where one of them is the reason.
var (
	// ErrFolderInUse says that another server uses the folder.
	ErrFolderInUse = errors.New("the folder is in use")
	// ErrListen says that the server cannot listen where it should.
	ErrListen = errors.New("cannot listen")
)

// Server is a NATS server that runs. It is safe for concurrent use.
type Server struct {
	nats   *server.Server
	lock   io.Closer
	folder string
	url    string

	stop    sync.Once
	stopped chan struct{}
	err     error // of the lock's end, once stopped is closed
}

// Start starts a server, and returns when clients can connect. It first reads
// what is in the folder. A stream that is damaged may have lost messages, as a warning in
// the log says: that is no error, as nothing in it is the only copy. Errors name the
// folder or the address, and match ErrFolderInUse or ErrListen where that is the reason.
//
// The end of ctx stops a start, but not the reading, and not a server that runs: that
// is for Close.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Listen == "" {
		cfg.Listen = DefaultListen
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	listen, err := ParseListen(cfg.Listen)
	switch {
	case err != nil:
		return nil, fmt.Errorf("starting NATS: %w", err)
	case cfg.Folder == "":
		return nil, errors.New("starting NATS: no folder is given for its data")
	case cfg.MaxBytes < 0 || cfg.SyncInterval < 0:
		return nil, fmt.Errorf("starting NATS in %s: a limit is negative", cfg.Folder)
	}
	if err := os.MkdirAll(cfg.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of NATS: %w", err)
	}
	lock, err := fslock.Lock(cfg.Folder, lockFile)
	if errors.As(err, new(fslock.LockedError)) {
		return nil, fmt.Errorf("starting NATS in %s: %w by another server: stop it first, or use another folder", cfg.Folder, ErrFolderInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("starting NATS in %s: locking the folder: %w", cfg.Folder, err)
	}
	s := &Server{lock: lock, folder: cfg.Folder, stopped: make(chan struct{})}
	if err := s.run(ctx, cfg.options(listen)); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.url = "nats://" + s.nats.Addr().String()
	logger.Infof("NATS runs in this process at %s and stores at most %d bytes in %s", s.url, cfg.MaxBytes, cfg.Folder)
	return s, nil
}

// run starts the server. After an error nothing of it runs.
func (s *Server) run(ctx context.Context, opts *server.Options) error {
	if ctx.Err() != nil {
		return fmt.Errorf("starting NATS in %s: %w", s.folder, context.Cause(ctx))
	}
	nats, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("starting NATS in %s: %w", s.folder, err)
	}
	log := &serverLog{}
	nats.SetLogger(log, false, false)
	nats.Start()
	if err = s.explain(log.start()); err == nil && ctx.Err() != nil {
		err = fmt.Errorf("starting NATS in %s: %w", s.folder, context.Cause(ctx))
	}
	if err != nil {
		nats.Shutdown()
		nats.WaitForShutdown()
		return err
	}
	s.nats = nats
	return nil
}

// explain says what to do about an error of a start, nil if there is none.
func (s *Server) explain(err error) error {
	var listen *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE) && errors.As(err, &listen):
		return fmt.Errorf("starting NATS: %w on %s: another program does. Stop it, or use another port", ErrListen, listen.Addr)
	case errors.As(err, &listen):
		return fmt.Errorf("starting NATS: %w: %w", ErrListen, err)
	}
	return fmt.Errorf("starting NATS in %s: %w", s.folder, err)
}

// URL returns the address for clients, as nats://127.0.0.1:4222.
func (s *Server) URL() string { return s.url }

// Close stops the server, and returns when all is on disk and the folder is free, or
// when ctx ends: it goes on stopping then. Clients lose their connections. More calls
// do no more than wait.
func (s *Server) Close(ctx context.Context) error {
	s.stop.Do(func() {
		go func() {
			defer close(s.stopped)
			s.nats.Shutdown()
			s.nats.WaitForShutdown()
			s.err = s.lock.Close()
		}()
	})
	select {
	case <-s.stopped:
	case <-ctx.Done():
		return fmt.Errorf("waiting for NATS in %s to stop: %w", s.folder, context.Cause(ctx))
	}
	if s.err != nil {
		return fmt.Errorf("giving the folder %s free: %w", s.folder, s.err)
	}
	return nil
}
