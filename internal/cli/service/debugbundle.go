package service

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/version"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// databasePatience is how long the database may take to answer.
const databasePatience = 15 * time.Second

// bundle is what is collected: files by name, and what could not be got.
type bundle struct {
	secrets *secrets
	files   map[string][]byte
	missing []string
}

// add takes a file, or why there is none.
func (b *bundle) add(name string, text []byte, err error) {
	if err != nil {
		b.missing = append(b.missing, name+": "+err.Error())
		return
	}
	b.files[name] = text
}

func (cmd *command) debugBundle(c *cli.Context) error {
	if c.NArg() > 0 {
		return fmt.Errorf("collecting a bundle: %q is too much: it takes flags only", c.Args().First())
	}
	ctx, stop := signal.NotifyContext(context.Background(), shutdownSignals()...)
	defer stop()
	b := &bundle{secrets: newSecrets(), files: make(map[string][]byte)}
	b.addFiles(cmd)
	cfg, err := cmd.loadConfig()
	if err != nil {
		b.add("effective.json", nil, err)
		b.add("database.json", nil, errors.New("the configuration cannot be read"))
	} else {
		cfg.release()
		b.addConfig(ctx, cfg)
	}
	address := c.String("admin")
	if address == "" && cfg != nil {
		address = cfg.admin.Listen
	}
	b.addDaemon(ctx, address)
	if ctx.Err() != nil {
		return errors.New("collecting a bundle: stopped by a signal")
	}
	name := c.String("output")
	if name == "" {
		name = "ipfs-cluster-debug-" + fileTime() + ".tar.gz"
	}
	text, err := b.pack("ipfs-cluster-debug")
	if err != nil {
		return err
	}
	if err := writeNew(name, text); err != nil {
		return err
	}
	fmt.Fprintf(cmd.stderr, "%d files written to %s\n", len(b.files), name)
	for _, missing := range b.missing {
		fmt.Fprintf(cmd.stderr, "missing: %s\n", shownText(string(b.secrets.scrub([]byte(missing)))))
	}
	return nil
}

// addFiles adds what is so without a daemon: service.json as it is, masked, the names of the
// variables that change it, and versions. What is secret is known from here on.
func (b *bundle) addFiles(cmd *command) {
	names := b.secrets.environment(os.Environ())
	b.add("environment.txt", []byte("# The variables that are set here, without their values. Those of the daemon may be others.\n"+strings.Join(names, "\n")+"\n"), nil)
	if raw, err := os.ReadFile(cmd.identityPath); err == nil {
		_, _ = b.secrets.json(raw) // only to know the key: the file is not added
	}
	raw, err := os.ReadFile(cmd.configPath)
	if err == nil {
		raw, err = b.secrets.json(raw)
	}
	b.add("service.json", raw, err)
	b.add("version.txt", fmt.Appendf(nil, "ipfs-cluster %s\n%s %s\n%s %s/%s\n", version.Version, moduleName, cmdline.ModuleVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH), nil)
}

// addConfig adds what holds with the environment, and the database.
func (b *bundle) addConfig(ctx context.Context, cfg *peerConfig) {
	shown, err := cfg.Manager().ToDisplayJSON()
	if err == nil {
		shown, err = b.secrets.json(shown)
	}
	b.add("effective.json", shown, err)
	if cfg.backend != backendScylla {
		b.add("database.json", nil, fmt.Errorf("the pinset is in %s, not in a database", cfg.backend))
		return
	}
	b.secrets.value(cfg.scylla.Password, true)
	conf := *cfg.scylla
	conf.ConnectTimeout = databasePatience
	text, err := readInventory(ctx, &conf)
	b.add("database.json", text, err)
}

func readInventory(ctx context.Context, conf *scyllastate.Config) (_ []byte, err error) {
	store, err := connect(ctx, conf, scyllastate.OpenReadOnly)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	limited, cancel := context.WithTimeout(ctx, databasePatience)
	defer cancel()
	inventory, err := store.Inventory(limited)
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(inventory, "", "  ")
}

// addDaemon adds what the daemon tells.
func (b *bundle) addDaemon(ctx context.Context, listen string) {
	parts := []struct{ name, path string }{
		{"metrics.txt", "/metrics"}, {"readyz.json", "/readyz"}, {"goroutines.txt", "/debug/pprof/goroutine?debug=2"},
		{"log.json", "/debug/log"}, {"heap.pprof", "/debug/pprof/heap"},
	}
	daemon, unknown := newDaemonClient(listen)
	for _, part := range parts {
		if unknown != nil {
			b.add(part.name, nil, unknown)
			continue
		}
		text, err := daemon.get(ctx, part.path, 0)
		b.add(part.name, text, err)
	}
	metrics, ok := b.files["metrics.txt"]
	if !ok {
		b.add("pools.txt", nil, errors.New("it is made from metrics.txt"))
		return
	}
	b.add("pools.txt", pools(metrics), nil)
}

// pools are the metrics of the connections to the database.
func pools(metrics []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(metrics) {
		for _, name := range []string{"cql_client_connections", "cql_client_connection_failures", "cql_client_hosts", "cql_client_in_flight", "cql_client_serving", "cql_client_info", "cql_client_cut", "cql_client_clock"} {
			if bytes.HasPrefix(line, []byte(name)) {
				out.Write(line)
			}
		}
	}
	if out.Len() == 0 {
		return []byte("# This daemon has no metrics of connections to a database.\n")
	}
	return out.Bytes()
}

// pack makes the archive, all its files in one folder. Profiles are not texts: they have
// names of functions and numbers, and no values.
func (b *bundle) pack(folder string) ([]byte, error) {
	b.files["missing.txt"] = []byte("# What could not be got, and why.\n" + strings.Join(b.missing, "\n") + "\n")
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	now := time.Now()
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		text := b.files[name]
		if !strings.HasSuffix(name, ".pprof") {
			text = b.secrets.scrub(text)
		}
		if err := archive.WriteHeader(&tar.Header{Name: folder + "/" + name, Mode: 0o600, Size: int64(len(text)), ModTime: now}); err != nil {
			return nil, fmt.Errorf("packing %s: %w", name, err)
		}
		if _, err := archive.Write(text); err != nil {
			return nil, fmt.Errorf("packing %s: %w", name, err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	return out.Bytes(), nil
}
