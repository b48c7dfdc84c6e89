package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// attemptLines matches the log lines of attempts to connect that fail because
// nothing listens. They name the hosts, the number of the attempt, the cause
// and the pause.
func attemptLines(hosts []string, port int) *regexp.Regexp {
	var addresses []string
	for _, host := range hosts {
		addresses = append(addresses, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	return regexp.MustCompile(`the database at ` + regexp.QuoteMeta(strings.Join(addresses, ", ")) +
		` is not ready \(attempt \d+\): .*connection refused.*; next try in \d\S*`)
}

// checkRefused fails the test unless the program has exited with 1 and one
// error, in which every text of want is.
func checkRefused(t *testing.T, got outcome, want ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimRight(got.stderr, "\n"), "\n")
	isError := func(line string) bool { return strings.HasPrefix(line, "error ") }
	last := lines[len(lines)-1]
	if got.code != 1 || !isError(last) || slices.ContainsFunc(lines[:len(lines)-1], isError) {
		t.Errorf("exit code %d, want 1 and one error as the last line of stderr:\n%s", got.code, got.stderr)
	}
	for _, text := range want {
		if !strings.Contains(last, text) {
			t.Errorf("the error does not say %q: %s", text, last)
		}
	}
}

// The database is started 30 s after the peer, which waits for it and says so.
// Then a wrong password is refused at once, and says what to change.
func TestEngineLate(t *testing.T) {
	t.Parallel()
	const late = 30 * time.Second
	own := cqltest.Reserve(t, engine.Options{Auth: true})
	k := startKubo(t)
	// A keyspace of the test's own server needs no name of its own.
	p := newPeer(t, database{own.Hosts(), own.Port(), "late"}, k, map[string]string{
		"CLUSTER_SCYLLA_USERNAME": engine.Superuser,
		"CLUSTER_SCYLLA_PASSWORD": engine.SuperuserPassword,
	})

	p.start(t)
	begin := time.Now()
	attempt := attemptLines(own.Hosts(), own.Port())
	eventually(t, time.Minute, "the peer tells of its attempts to connect", func() error {
		return p.daemon.logged(t, attempt, 4)
	})
	<-time.After(late - time.Since(begin)) // the 30 s are what is tested
	if err := p.daemon.logged(t, attempt, 6); err != nil {
		t.Error(err)
	}
	own.Run(t)
	p.waitReady(t)
	cid := k.addBlocks(t, "TestEngineLate", 1)[0]
	if err := p.pin(cid, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the pin is pinned", p.allPinned)
	p.stop(t)

	for _, test := range []struct {
		name   string
		config map[string]any
		want   string
	}{
		{"wrong password", map[string]any{"password": "wrong"}, "the database refused the user name or the password: correct state.scylla.username and password"},
		{"unknown user", map[string]any{"username": "nobody"}, "the database refused the user name or the password: correct state.scylla.username and password"},
		{"no user", map[string]any{"username": "", "password": ""}, "the database wants a user name and a password: set state.scylla.username and password"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.setConfig(t, test.config)
			got := run(t, p.service(t, nil, "daemon"))
			checkRefused(t, got, test.want)
			if got.took > 15*time.Second || strings.Contains(got.stderr, "next try") {
				t.Errorf("it took %s, want no second try:\n%s", got.took, got.stderr)
			}
		})
	}
	p.start(t)
	p.waitReady(t)
	p.stop(t)
}

// Two peers start at the same instant on a keyspace that does not exist. They
// make one schema and share the pinset.
func TestTwoDaemonsEmptyServer(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	db := onNew(t, server)
	k := startKubo(t)
	one, two := newPeer(t, db, k, nil), newPeer(t, db, k, nil)
	one.start(t)
	two.start(t)
	one.waitReady(t)
	two.waitReady(t)
	session := server.Session(t)
	checkSchema(t, session, db.keyspace)

	cid := k.addBlocks(t, "TestTwoDaemonsEmptyServer", 1)[0]
	if err := one.pin(cid, nil); err != nil {
		t.Fatal(err)
	}
	if state, err := two.allocations(); err != nil || !state[cid] || len(state) != 1 {
		t.Errorf("the other peer sees %v (%v), want the pin of the first", state, err)
	}
	for _, p := range []*peer{one, two} {
		eventually(t, time.Minute, "the pin is pinned", func() error {
			if !k.pinned(t)[cid] {
				return fmt.Errorf("%s is not pinned", cid)
			}
			return p.allPinned()
		})
		p.stop(t)
	}

	// More processes and more tries, for the moments that two rarely meet.
	const tries, processes = 3, 6
	for try := range tries {
		keyspace := server.Keyspace(t)
		var all []*daemon
		for i := range processes {
			log := filepath.Join(one.dir, fmt.Sprintf("import-%d-%d.log", try, i))
			all = append(all, start(t, log, one.service(t, map[string]string{"CLUSTER_SCYLLA_KEYSPACE": keyspace}, "state", "import", "-f", os.DevNull)))
		}
		for i, d := range all {
			if err := d.Wait(); err != nil {
				t.Errorf("process %d of %d that make the keyspace at once: %v", i, processes, err)
			}
		}
		checkSchema(t, session, keyspace)
	}
}

// checkSchema fails the test unless the keyspace has every table of the schema
// files once, and a record of each file.
func checkSchema(t *testing.T, session *gocql.Session, keyspace string) {
	t.Helper()
	column := func(query string, args ...any) (values []string) {
		t.Helper()
		iter := session.Query(query, args...).Iter()
		for value := ""; iter.Scan(&value); {
			values = append(values, value)
		}
		if err := iter.Close(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(values)
		return values
	}
	const dir = "../../scyllastate/schema"
	paths, err := filepath.Glob(filepath.Join(dir, "*.cql"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("schema files in %s: %v (%v)", dir, paths, err)
	}
	var files []string
	tables := []string{"leases", "schema_history"}
	for _, path := range paths {
		files = append(files, filepath.Base(path))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^CREATE TABLE IF NOT EXISTS (\w+)`).FindAllSubmatch(text, -1) {
			tables = append(tables, string(m[1]))
		}
	}
	slices.Sort(tables)
	if found := column("SELECT name FROM " + keyspace + ".schema_history"); !slices.Equal(found, files) {
		t.Errorf("schema_history has %v, want %v", found, files)
	}
	found := column("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", keyspace)
	if found = slices.DeleteFunc(found, cqltest.IsPaxos); !slices.Equal(found, tables) {
		t.Errorf("the keyspace has the tables %v, want %v", found, tables)
	}
}
