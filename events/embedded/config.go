package embedded

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Default values of a Config.
const (
	DefaultListen = "127.0.0.1:4222"
	// DefaultMaxBytes has room for the streams of a bus with default limits.
	DefaultMaxBytes = 8 << 30
)

// maxMemory is what streams in memory may have. Ours are in files.
const maxMemory = 64 << 20

// Config says where the server keeps its data and where it listens.
type Config struct {
	// Folder has the data of the server, and of nothing else. It is made if it is
	// missing. One server at a time uses it.
	Folder string
	// Listen is a loopback address and a port: 127.0.0.1:4222 or [::1]:4222. Port 0 is
	// one that is free, another one at each start. Empty means DefaultListen.
	Listen string
	// MaxBytes is how much all streams together may store: the sum of their limits
	// must fit into it. 0 means DefaultMaxBytes.
	MaxBytes int64
	// SyncInterval is how often the server makes sure that what it has written is on
	// the disk: a power cut loses what came later, though it was acknowledged. 0
	// means before each acknowledgement.
	SyncInterval time.Duration
}

// ParseListen reads a Config's Listen. An error says what is wrong with it and what to
// write.
func ParseListen(listen string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(listen)
	switch {
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("%q is not an IP address with a port: write it as in %s", listen, DefaultListen)
	case !addr.Addr().IsLoopback():
		return netip.AddrPort{}, fmt.Errorf("%s is not a loopback address: this server asks nobody for a password. Use one as %s, or run NATS servers of your own", listen, DefaultListen)
	}
	return addr, nil
}

// options are those of the server, for a Config that is complete.
func (cfg Config) options(listen netip.AddrPort) *server.Options {
	opts := &server.Options{
		ServerName: "ipfs-cluster",
		Host:       listen.Addr().String(),
		Port:       int(listen.Port()),
		NoSigs:     true,
		JetStream:  true,
		StoreDir:   cfg.Folder,

		JetStreamMaxMemory:     maxMemory,
		JetStreamMaxStore:      cfg.MaxBytes,
		SyncAlways:             cfg.SyncInterval == 0,
		SyncInterval:           cfg.SyncInterval,
		DisableJetStreamBanner: true,
	}
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	return opts
}
