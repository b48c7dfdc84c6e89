package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// openSource opens what --from names.
func (cmd *command) openSource(ctx context.Context, c *cli.Context, m *migration) (source.Source, error) {
	from := c.String("from")
	password, err := readPassword(c)
	if err != nil {
		return nil, err
	}
	if text, isCQL := strings.CutPrefix(from, "cql:"); isCQL {
		return openKeyspace(ctx, m, text, c.String("from-username"), password, c.String("from-dc"))
	}
	if c.IsSet("from-dc") {
		return nil, errors.New("--from-dc is for cql: sources")
	}
	return source.Open(ctx, from, source.Options{Stdin: cmd.stdin, Username: c.String("from-username"), Password: password})
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

// openKeyspace opens a keyspace in another database: HOSTS/KEYSPACE.
func openKeyspace(ctx context.Context, m *migration, text, username, password, dc string) (source.Source, error) {
	conf, err := keyspaceConfig(m.cfg, text)
	if err != nil {
		return nil, err
	}
	conf.LocalDC, conf.Username, conf.Password = dc, username, password
	store, err := scyllastate.OpenReadOnly(ctx, conf)
	if err != nil {
		return nil, fmt.Errorf("cql:%s: %w", text, err)
	}
	if store.SamePinset(m.store) {
		err := fmt.Errorf("cql:%s: this is the keyspace that the pins would go to: correct --from, or state.scylla.hosts and keyspace", text)
		return nil, multierr.Append(err, store.Close())
	}
	// Nobody can tell whether a keyspace has changed: a run begins anew.
	return source.NewValues("cql:"+text, "", store, store.Close), nil
}

// keyspaceConfig is that of the target with the hosts and the keyspace of the text
// HOST[,HOST…][:PORT]/KEYSPACE.
func keyspaceConfig(target *scyllastate.Config, text string) (*scyllastate.Config, error) {
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
