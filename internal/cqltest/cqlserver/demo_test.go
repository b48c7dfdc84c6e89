package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// demo runs demo/run.sh in a folder of its own, on programs that stand for the
// real ones and keep what they do in the folder db.
type demo struct{ root, db string }

func newDemo(t *testing.T) *demo {
	t.Helper()
	d := &demo{root: t.TempDir(), db: t.TempDir()}
	for from, to := range map[string]string{"../../../demo": "demo", "testdata/fakes": "bin"} {
		if err := os.CopyFS(filepath.Join(d.root, to), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(d.root, "README.md"), []byte("read me\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.has("up") { // whatever went wrong, no process stays
			_, _ = d.command("", "down").CombinedOutput()
		}
	})
	return d
}

// command is a run with CQL_HOSTS set to hosts.
func (d *demo) command(hosts, what string) *exec.Cmd {
	cmd := exec.Command("bash", filepath.Join(d.root, "demo/run.sh"), what)
	cmd.Env = append(os.Environ(), "CQL_HOSTS="+hosts, "CLUSTER_SCYLLA_KEYSPACE=pins", "DEMO_DB="+d.db)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// must runs what has to work, and refused what must not; its output has the text.
func (d *demo) must(t *testing.T, hosts, what string) {
	t.Helper()
	if out, err := d.command(hosts, what).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, out)
	}
}

func (d *demo) refused(t *testing.T, hosts, what, text string) {
	t.Helper()
	out, err := d.command(hosts, what).CombinedOutput()
	if err == nil || !strings.Contains(string(out), text) {
		t.Errorf("%s: %v, want %q\n%s", what, err, text, out)
	}
}

// set makes a file in db, or removes it.
func (d *demo) set(t *testing.T, name string, there bool) {
	t.Helper()
	path := filepath.Join(d.db, name)
	err := os.Remove(path)
	if there {
		err = os.WriteFile(path, nil, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// has tells whether the folder of make up is there ("up"), or a file of db.
func (d *demo) has(name string) bool {
	path := filepath.Join(d.db, name)
	if name == "up" {
		path = filepath.Join(d.root, ".build/up")
	}
	_, err := os.Stat(path)
	return err == nil
}

// want checks what is there.
func (d *demo) want(t *testing.T, when string, there map[string]bool) {
	t.Helper()
	for name, want := range there {
		if d.has(name) != want {
			t.Errorf("%s: %s is there: %t, want %t", when, name, !want, want)
		}
	}
}

const (
	theirs   = "db.example"
	keyspace = "keyspace.pins"
	// gateways is the keyspace of the gateway.
	gateways = "keyspace.pins_gateway"
)

// process is one that make up has started, and has left its id in db.
func (d *demo) process(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.db, name))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// The gateway and its issuer run after make up, are started again when one has died, and
// not otherwise; make down ends both.
func TestDemoGateway(t *testing.T) {
	d := newDemo(t)
	d.must(t, theirs, "up")
	for _, died := range []string{"gateway", "issuer"} {
		before := map[string]int{"gateway": d.process(t, "gateway"), "issuer": d.process(t, "issuer")}
		d.must(t, theirs, "up")
		for name, pid := range before {
			if now := d.process(t, name); now != pid || syscall.Kill(pid, 0) != nil {
				t.Errorf("the %s runs as %d, and was started again as %d", name, pid, now)
			}
		}
		if err := syscall.Kill(before[died], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		cqltest.WaitFor(t, "it to be dead", func() bool { return syscall.Kill(before[died], 0) != nil })
		d.must(t, theirs, "up")
		for name, pid := range before {
			if now := d.process(t, name); now == pid || syscall.Kill(now, 0) != nil {
				t.Errorf("after the %s has died, the %s that was %d is %d", died, name, pid, now)
			}
		}
	}
	pids := []int{d.process(t, "gateway"), d.process(t, "issuer")}
	d.want(t, "up", map[string]bool{"tenant.demo": true, gateways: true})
	d.must(t, "", "down")
	d.want(t, "down", map[string]bool{"up": false, keyspace: false, gateways: false})
	for _, pid := range pids {
		cqltest.WaitFor(t, "what make down has ended to be gone", func() bool { return syscall.Kill(pid, 0) != nil })
	}
	d.set(t, gateways, true)
	d.refused(t, theirs, "up", "the keyspace pins_gateway at "+theirs+" is not of make up")
	d.want(t, "refused", map[string]bool{"up": false, keyspace: false, gateways: true})
}

// make down deletes what make up has made on somebody else's server, so that the
// next make up works there.
func TestDemoOnNamedServer(t *testing.T) {
	d := newDemo(t)
	for range 2 {
		d.must(t, theirs, "up")
		d.set(t, "hosts", false) // as after a restart of the machine
		d.must(t, theirs, "up")  // starts what has died
		d.set(t, "hosts", false)
		d.must(t, "", "up") // it knows which server that was
		d.want(t, "up", map[string]bool{"up": true, keyspace: true})
		d.must(t, "", "down")
		d.want(t, "down", map[string]bool{"up": false, keyspace: false, "hosts": false})
	}
}

// A make up that was killed is cleaned up by the next.
func TestDemoKilled(t *testing.T) {
	d := newDemo(t)
	d.set(t, "block", true)
	killed := d.command(theirs, "up")
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	cqltest.WaitFor(t, "make up to come where it is killed", func() bool { return d.has("blocked") })
	if err := syscall.Kill(-killed.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait() // it was killed
	d.set(t, "block", false)
	d.want(t, "killed", map[string]bool{"up": true, keyspace: true})
	d.must(t, theirs, "up")
	d.must(t, "", "down")
	d.want(t, "down", map[string]bool{"up": false, keyspace: false})
}

// What is needed to drop the keyspace stays until the server answers.
func TestDemoServerAway(t *testing.T) {
	d := newDemo(t)
	d.must(t, theirs, "up")
	d.set(t, "away", true)
	for range 2 {
		d.refused(t, "", "down", "the keyspace pins is still there: run this again when "+theirs+" answers")
	}
	d.want(t, "away", map[string]bool{"up": true, keyspace: true})
	d.set(t, "away", false)
	d.must(t, "", "down")
	d.want(t, "down", map[string]bool{"up": false, keyspace: false})
}

// A name that is another keyspace without quotes is refused, and nothing dropped.
func TestDemoNameOfKeyspace(t *testing.T) {
	d := newDemo(t)
	d.set(t, keyspace, true)
	cmd := d.command(theirs, "up")
	cmd.Env = append(cmd.Env, "CLUSTER_SCYLLA_KEYSPACE=Pins")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "CLUSTER_SCYLLA_KEYSPACE=Pins is not the name of a keyspace") {
		t.Errorf("%v\n%s", err, out)
	}
	d.want(t, "refused", map[string]bool{"up": false, keyspace: true})
}

// A keyspace that was there before stays.
func TestDemoKeyspaceOfOthers(t *testing.T) {
	d := newDemo(t)
	d.set(t, keyspace, true)
	d.refused(t, theirs, "up", "the keyspace pins at "+theirs+" is not of make up")
	d.want(t, "refused", map[string]bool{"up": false, keyspace: true})
}

// A server of make cql-up stays, without the keyspace; one of make up goes with
// its data, from which nothing is dropped.
func TestDemoOnOwnServer(t *testing.T) {
	d := newDemo(t)
	if out, err := exec.Command("env", "DEMO_DB="+d.db, filepath.Join(d.root, "bin/cqlserver"), "up").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	d.must(t, "", "up")
	d.must(t, "", "down")
	d.want(t, "beside make cql-up", map[string]bool{"up": false, keyspace: false, "hosts": true})
	d.set(t, "hosts", false)
	d.set(t, "queries", false)

	d.must(t, "", "up")
	d.set(t, "hosts", false)
	d.set(t, keyspace, false)
	d.must(t, "", "up")
	d.want(t, "after the server was lost with its data", map[string]bool{keyspace: true, "hosts": true})
	d.must(t, "", "down")
	d.want(t, "alone", map[string]bool{"up": false, keyspace: false, "hosts": false})
	if queries, err := os.ReadFile(filepath.Join(d.db, "queries")); err != nil || strings.Contains(string(queries), "DROP") {
		t.Errorf("%v, queries:\n%s", err, queries)
	}
}
