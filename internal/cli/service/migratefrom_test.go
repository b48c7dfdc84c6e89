package service

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
)

// withoutDatabase makes the folder of a peer whose database does not answer. Nobody
// waits for it.
func withoutDatabase(t *testing.T) string {
	t.Helper()
	t.Setenv("CLUSTER_SCYLLA_HOSTS", "127.0.0.1")
	t.Setenv("CLUSTER_SCYLLA_PORT", "1")
	t.Setenv("CLUSTER_SCYLLA_CONNECTTIMEOUT", "1ms")
	folder := t.TempDir()
	mustRun(t, folder, "init", "--state", "scylla")
	return folder
}

// TestSourceIsOpenedFirst: what is wrong with --from is said before the database is
// opened, where a new keyspace would stay behind.
func TestSourceIsOpenedFirst(t *testing.T) {
	folder := withoutDatabase(t)
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	for from, want := range map[string]string{
		"crdt:" + nowhere:        "there is no such folder",
		"raft:" + nowhere:        "there is no such folder",
		"export:" + nowhere:      "there is no such file",
		"tar:" + nowhere:         "which is unknown",
		"rest:ftp://127.0.0.1":   "is no URL of HTTP",
		"cql:10.0.0.1":           "write it as cql:HOST,HOST:PORT/KEYSPACE",
		"cql:alice:hunter2@h/ks": "use --from-username and --from-password-file",
	} {
		for _, command := range []string{"plan", "run", "verify"} {
			got := run(t, folder, "", "migrate", command, "--from", from)
			if got.code != 1 || !strings.HasPrefix(got.stderr, "error opening the source: ") || !strings.Contains(got.stderr, want) {
				t.Errorf("%s --from %s: exit code %d, stderr\n%swant %s", command, from, got.code, got.stderr, want)
			}
			if strings.Contains(got.stderr+got.stdout, "hunter2") {
				t.Errorf("the password is shown:\n%s", got.stderr)
			}
		}
	}
}

// TestExistingFlag: plan takes the rule that the run will have, and says what it
// leads to.
func TestExistingFlag(t *testing.T) {
	cmd := &command{}
	for _, one := range []cli.Command{cmd.migratePlanCommand(), cmd.migrateRunCommand()} {
		for _, want := range []migrate.Existing{"", migrate.ExistingFail, migrate.ExistingNewer, migrate.ExistingKeep} {
			set := flag.NewFlagSet(one.Name, flag.ContinueOnError)
			for _, f := range one.Flags {
				f.Apply(set)
			}
			args := []string{}
			if want == "" {
				want = migrate.ExistingFail
			} else {
				args = append(args, "--existing", string(want))
			}
			if err := set.Parse(args); err != nil {
				t.Fatal(fmt.Sprint(one.Name, " ", args, ": ", err))
			}
			opts, err := readOptions(cli.NewContext(nil, set, nil))
			if err != nil || opts.Existing != want {
				t.Errorf("%s %q: %q, %v", one.Name, args, opts.Existing, err)
			}
		}
	}
}
