package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/adminhttp"
)

const (
	// maxAnswer bounds what is read of one answer of a daemon.
	maxAnswer = 64 << 20
	// adminTimeout is how long a daemon may take for one, beside what it was asked to take.
	adminTimeout = 20 * time.Second
)

func (cmd *command) debugCommand() cli.Command {
	admin := cli.StringFlag{Name: "admin", Usage: "`ADDRESS` and port where the daemon tells its metrics, instead of observations.admin.listen"}
	output := cli.StringFlag{Name: "output, o", Usage: "`FILE` to write, which must not be there yet (default: a name with the time)"}
	return cli.Command{
		Name:         "debug",
		Usage:        "Looks into a running daemon",
		OnUsageError: usageError,
		Subcommands: []cli.Command{
			{
				Name:         "profile",
				Usage:        "writes a profile of the daemon to a file",
				ArgsUsage:    "[cpu|heap|goroutine|allocs|mutex|block]",
				OnUsageError: usageError,
				Description: `
   Takes a profile of the daemon that has this configuration, cpu unless another
   one is named, by observations.admin.listen of service.json. Look at it with
   "go tool pprof FILE".
`,
				Flags: []cli.Flag{
					cli.IntFlag{Name: "seconds, s", Value: 30, Usage: "how long a cpu profile takes; for others, 0 is all since the start, and more is the difference"},
					output, admin,
				},
				Action: cmd.debugProfile,
			},
			{
				Name:         "bundle",
				Usage:        "collects in one file what helps to find out what is wrong",
				ArgsUsage:    " ",
				OnUsageError: usageError,
				Description: `
   Writes a .tar.gz with the configuration, the versions, the metrics of the
   daemon, whether it is ready and why not, its goroutines and its heap, the last
   warnings and errors of its log, its connections, and the names of the nodes and
   tables of the database. It works without the daemon and without the database,
   too, and says in missing.txt what it could not get.

   Secrets are masked: passwords, tokens, keys, and what is before the @ of a
   URL, at any depth, and wherever else the same texts are found. The pinset
   is not in it, but lines of the log may name CIDs. Look through it before you
   send it to somebody.
`,
				Flags:  []cli.Flag{output, admin},
				Action: cmd.debugBundle,
			},
		},
		Action: groupAction,
	}
}

func (cmd *command) debugProfile(c *cli.Context) error {
	kind := c.Args().First()
	if kind == "" {
		kind = "cpu"
	}
	seconds := c.Int("seconds")
	if kind != "cpu" && !c.IsSet("seconds") {
		seconds = 0
	}
	path, ok := map[string]string{"cpu": "profile", "heap": "heap", "goroutine": "goroutine", "allocs": "allocs", "mutex": "mutex", "block": "block"}[kind]
	switch {
	case !ok || c.NArg() > 1:
		return fmt.Errorf("taking a profile: %q is not a profile: use cpu, heap, goroutine, allocs, mutex or block", kind)
	case seconds < 0 || seconds > adminhttp.MaxProfileSeconds || kind == "cpu" && seconds == 0:
		return fmt.Errorf("taking a profile: --seconds %d cannot be used: use 1 to %d", seconds, adminhttp.MaxProfileSeconds)
	}
	address := c.String("admin")
	if address == "" {
		cfg, err := cmd.loadConfig()
		if err != nil {
			return err
		}
		cfg.release()
		address = cfg.admin.Listen
	}
	daemon, err := newDaemonClient(address)
	if err != nil {
		return fmt.Errorf("taking a profile: %w", err)
	}
	if seconds > 0 {
		path += "?seconds=" + strconv.Itoa(seconds)
	}
	profile, err := daemon.get(context.Background(), "/debug/pprof/"+path, time.Duration(seconds)*time.Second)
	if err != nil {
		return fmt.Errorf("taking a profile: %w", err)
	}
	name := c.String("output")
	if name == "" {
		name = "ipfs-cluster-" + kind + "-" + fileTime() + ".pprof"
	}
	if err := writeNew(name, profile); err != nil {
		return err
	}
	fmt.Fprintf(cmd.stderr, "profile written to %s: look at it with \"go tool pprof %[1]s\"\n", name)
	return nil
}

// fileTime is now, as it may be in the name of a file.
func fileTime() string { return time.Now().UTC().Format("20060102T150405Z") }

// writeNew writes a file that must not be there, which nobody else may read.
func writeNew(name string, text []byte) (err error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, errors.Join(err, os.Remove(name)))
	}
	return nil
}

// daemonClient asks a daemon what it tells those who run it.
type daemonClient struct{ address string }

// newDaemonClient is for a daemon that listens on an address.
func newDaemonClient(listen string) (daemonClient, error) {
	if listen == "" {
		return daemonClient{}, errors.New("the daemon does not listen: set observations.admin.listen in service.json, or CLUSTER_ADMIN_LISTEN, and start it again")
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return daemonClient{}, fmt.Errorf("%q is not an address and a port", listen)
	}
	if port == "0" {
		return daemonClient{}, errors.New("observations.admin.listen has port 0, which is another one at each start: name it with --admin, the log of the daemon has it")
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.To4() == nil {
			host = "::1"
		}
	}
	return daemonClient{net.JoinHostPort(host, port)}, nil
}

// get returns the answer to a request, which may take that much longer than usual. A
// daemon that is not ready says so with an error status and a report, which is an answer.
func (d daemonClient) get(ctx context.Context, path string, longer time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout+longer)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.address+path, nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true} // and no proxy
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("no daemon answers on %s: does it run, and with this observations.admin.listen?", d.address)
	}
	if err != nil {
		return nil, fmt.Errorf("asking the daemon: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking the daemon for %s: %w", path, err)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("asking the daemon for %s: the answer is longer than %d MiB", path, maxAnswer>>20)
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable, resp.StatusCode != http.StatusOK && path != "/readyz":
		return nil, fmt.Errorf("asking the daemon for %s: it says %s: %.200s", path, resp.Status, shownText(string(bytes.TrimSpace(body))))
	}
	return body, nil
}
