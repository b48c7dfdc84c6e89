package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// openSource opens what --from names. A keyspace is only read from the command
// line: openKeyspace compares it with the target, which must be open for that.
func (cmd *command) openSource(c *cli.Context, m *migration) error {
	from, username := c.String("from"), c.String("from-username")
	password, err := readPassword(c)
	if err != nil {
		return err
	}
	if text, isCQL := strings.CutPrefix(from, "cql:"); isCQL {
		conf, err := keyspaceConfig(m.cfg, text)
		if err != nil {
			return err
		}
		conf.LocalDC, conf.Username, conf.Password = c.String("from-dc"), username, password
		m.keyspace = conf
		return nil
	}
	if c.IsSet("from-dc") {
		return errors.New("--from-dc is for cql: sources")
	}
	ctx, stop := signal.NotifyContext(context.Background(), shutdownSignals()...)
	defer stop()
	src, err := source.Open(ctx, from, source.Options{Stdin: cmd.stdin, Username: username, Password: password})
	if err != nil {
		return nameSignal(ctx, err)
	}
	m.setSource(src)
	return nil
}

// setSource takes an open source, and says what the user should know of it before
// the work.
func (m *migration) setSource(src source.Source) {
	m.src = src
	m.out.warn(src.Warnings())
}

func (m *migration) closeSource() error {
	if m.src == nil {
		return nil
	}
	return m.src.Close()
}

// readPassword reads the file of --from-password-file.
func readPassword(c *cli.Context) (string, error) {
	path := c.String("from-password-file")
	if (path == "") != (c.String("from-username") == "") {
		return "", errors.New("--from-username and --from-password-file go together")
	}
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading --from-password-file: %w", err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		return "", fmt.Errorf("reading --from-password-file: %s is empty", path)
	}
	return password, nil
}

// openKeyspace opens the keyspace in another database that from names.
func (m *migration) openKeyspace(ctx context.Context, from string) error {
	store, err := scyllastate.OpenReadOnly(ctx, m.keyspace)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if store.SamePinset(m.store) {
		err := fmt.Errorf("%s: this is the keyspace that the pins would go to: correct --from, or state.scylla.hosts and keyspace", from)
		return multierr.Append(err, store.Close())
	}
	// Nobody can tell whether a keyspace has changed: a run begins anew.
	m.setSource(source.NewValues(from, "", store, store.Close))
	return nil
}

// keyspaceConfig is that of the target with the hosts and the keyspace of the text
// HOST[,HOST…][:PORT]/KEYSPACE. Its errors do not repeat a password.
func keyspaceConfig(target *scyllastate.Config, text string) (*scyllastate.Config, error) {
	if strings.Contains(text, "@") {
		return nil, errors.New("--from cql: has a user or password before its hosts, where lists of processes and logs show it: use --from-username and --from-password-file")
	}
	usage := fmt.Errorf("cql:%s: write it as cql:HOST,HOST:PORT/KEYSPACE, where :PORT may be left out", text)
	hosts, keyspace, found := strings.Cut(text, "/")
	if !found || hosts == "" || keyspace == "" {
		return nil, usage
	}
	conf := *target
	conf.Keyspace, conf.Hosts = keyspace, strings.Split(hosts, ",")
	conf.Username, conf.Password = "", "" // they are not for other hosts
	last := len(conf.Hosts) - 1
	if host, port, err := net.SplitHostPort(conf.Hosts[last]); err == nil {
		conf.Hosts[last] = host
		if conf.Port, err = strconv.Atoi(port); err != nil {
			return nil, usage
		}
	}
	if err := conf.ValidateAll(); err != nil {
		return nil, fmt.Errorf("cql:%s: %w", text, err)
	}
	return &conf, nil
}
