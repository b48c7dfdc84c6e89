package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/embedded"
)

// asNATS makes the test binary a NATS server that listens at the address in it, until it is
// told to end. Its data are in the folder it is started in.
const asNATS = "E2E_AS_NATS"

// serveNATS is the process of startNATS.
func serveNATS(listen string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server, err := embedded.Start(ctx, embedded.Config{Folder: ".", Listen: listen})
	if err == nil {
		<-ctx.Done()
		err = server.Close(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "nats:", err)
		return 1
	}
	return 0
}

// startNATS starts a NATS server in a process of its own, which can be stopped by a signal,
// and returns its URL when it listens.
func startNATS(t *testing.T) (d *daemon, url string) {
	t.Helper()
	listen := net.JoinHostPort(ownAddress(), strconv.Itoa(9094+10*int(peersMade.Add(1))))
	return startNATSAt(t, t.TempDir(), listen), "nats://" + listen
}

// startNATSAt starts a NATS server at an address, with the data of a folder, as they are.
func startNATSAt(t *testing.T, dir, listen string) *daemon {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Dir, cmd.Env = dir, environ(dir, map[string]string{asNATS: listen})
	d := start(t, filepath.Join(t.TempDir(), "nats.log"), cmd)
	eventually(t, readyTimeout, "NATS listens", func() error {
		d.running(t)
		conn, err := net.Dial("tcp", listen)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	return d
}
