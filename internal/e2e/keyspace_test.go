package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// A keyspace that all peers share is not emptied or overwritten by accident:
// who does it names it.
func TestSharedKeyspace(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	db := onNew(t, server)
	p := newPeer(t, db, nil, nil)
	file := filepath.Join(p.dir, "pins.json")
	cids := make([]string, 5)
	for i := range cids {
		cids[i] = rawCid(t, fmt.Sprintf("TestSharedKeyspace %d", i))
	}
	pins := writePins(t, file, cids)
	exported := func() []string {
		t.Helper()
		out := filepath.Join(p.dir, "exported.json")
		mustRun(t, p.service(t, nil, "state", "export", "--file", out))
		return readLines(t, out)
	}
	answer := func(text string, args ...string) outcome {
		t.Helper()
		cmd := p.service(t, nil, args...)
		cmd.Stdin = strings.NewReader(text)
		return run(t, cmd)
	}

	for _, args := range [][]string{{"state", "export"}, {"state", "cleanup", "--keyspace", db.keyspace}, {"state", "adopt", "--keyspace", db.keyspace}} {
		checkRefused(t, run(t, p.service(t, nil, args...)), "the keyspace "+db.keyspace+" does not exist")
	}
	got := answer("n\n", "state", "import", file)
	if got.code != 0 || len(exported()) != 0 {
		t.Errorf("an import that was not confirmed: exit code %d, %d pins", got.code, len(exported()))
	}
	if got := mustRun(t, p.service(t, nil, "state", "cleanup", "--force")); !strings.Contains(got.stderr, "holds no pins") {
		t.Errorf("cleaning an empty keyspace says %s", got.stderr)
	}
	checkRefused(t, run(t, p.service(t, nil, "state", "import", "--keyspace", "other", file)), `"other" is not the name`)
	mustRun(t, p.service(t, nil, "state", "import", "--force", file))
	corruptRow(t, server.Session(t), db.keyspace, cids[0]) // it counts and goes like any other

	const holds = ` holds 5 pins of the cluster "ipfs-cluster"`
	removes := `All 5 pins of the cluster "ipfs-cluster" will be removed from the keyspace ` + db.keyspace
	for _, test := range []struct {
		stdin string
		args  []string
		want  []string
	}{
		{"", []string{"state", "import", "--force", file}, []string{holds, "add --keyspace " + db.keyspace}},
		{"", []string{"state", "cleanup", "--force"}, []string{removes, "add --keyspace " + db.keyspace}},
		{"", []string{"--force", "state", "cleanup"}, []string{`"" is not the name`}},
		{"", []string{"state", "cleanup", "--keyspace", "other"}, []string{`"other" is not the name of the keyspace, ` + db.keyspace + ": nothing was changed"}},
		{"", []string{"state", "cleanup", "--keyspace", ""}, []string{`"" is not the name`}},
		{"y\n", []string{"state", "cleanup"}, []string{`"y" is not the name`}},
		{"", []string{"state", "cleanup"}, []string{`"" is not the name`}},
		{"yes\n", []string{"state", "import", file}, []string{`"yes" is not the name`}},
	} {
		got := answer(test.stdin, test.args...)
		checkRefused(t, got, test.want...)
	}
	if got := answer(db.keyspace+"\n", "state", "import", file); got.code != 0 || !strings.Contains(got.stdout, holds) {
		t.Errorf("an import with the name at the prompt: exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	if got := exported(); !slices.Equal(got, pins) {
		t.Errorf("exported %v, want %v", got, pins)
	}

	// Ctrl-C at the prompt.
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	cmd := p.service(t, nil, "state", "cleanup")
	cmd.Stdin = read
	prompt := start(t, filepath.Join(p.dir, "prompt.log"), cmd)
	if err := read.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, runTimeout, "the command asks", func() error {
		return prompt.logged(t, regexp.MustCompile("Type the name of the keyspace"), 1)
	})
	if code, took := prompt.interrupt(t, syscall.SIGINT); code != 1 || took > 5*time.Second || len(exported()) != len(pins) {
		t.Errorf("Ctrl-C at the prompt: exit code %d after %s", code, took)
	}

	corruptRow(t, server.Session(t), db.keyspace, cids[0])
	if got := answer(db.keyspace+"\n", "state", "cleanup"); got.code != 0 || !strings.Contains(got.stdout, removes) || !strings.Contains(got.stderr, "5 pins removed") {
		t.Errorf("a cleanup with the name at the prompt: exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	if got := exported(); len(got) != 0 {
		t.Errorf("%d pins are left", len(got))
	}
}

// rawCid is the CID of a block of text.
func rawCid(t *testing.T, text string) string {
	t.Helper()
	hash, err := multihash.Sum([]byte(text), multihash.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	return cid.NewCidV1(cid.Raw, hash).String()
}

// Every process goes by the unpin_grace of the keyspace, and says so where its own
// is another one, until the keyspace is adopted.
func TestUnpinGraceOfTheKeyspace(t *testing.T) {
	t.Parallel()
	db := on(t, cqltest.Start(t))
	first := newPeer(t, db, nil, nil)
	mustRun(t, first.service(t, nil, "state", "import", "-f", os.DevNull))
	second := newPeer(t, db, nil, map[string]string{"CLUSTER_SCYLLA_UNPINGRACE": "1h"})
	said := "unpin_grace is 1h0m0s here and 24h0m0s in the keyspace " + db.keyspace
	if got := mustRun(t, second.service(t, nil, "state", "export")); !strings.Contains(got.stderr, said) {
		t.Errorf("another unpin_grace is not told of: %s", got.stderr)
	}
	checkRefused(t, run(t, second.service(t, nil, "state", "adopt", "--keyspace", "other")), "nothing was changed")
	got := mustRun(t, second.service(t, nil, "state", "adopt", "--keyspace", db.keyspace))
	for _, text := range []string{"Its unpin_grace is 24h0m0s and will be 1h0m0s, for all peers.", "has another unpin_grace from now on"} {
		if !strings.Contains(got.stderr, text) {
			t.Errorf("adopt does not say %q: %s", text, got.stderr)
		}
	}
	said = "unpin_grace is 24h0m0s here and 1h0m0s in the keyspace " + db.keyspace
	if got := mustRun(t, first.service(t, nil, "state", "export")); !strings.Contains(got.stderr, said) {
		t.Errorf("the change is not seen: %s", got.stderr)
	}
}

// A peer of another cluster does not touch the keyspace, until it is adopted.
func TestForeignKeyspace(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	db := on(t, server)
	first := newPeer(t, db, nil, nil)
	mustRun(t, first.service(t, nil, "state", "import", "-f", os.DevNull))

	secret := strings.Repeat("fedcba9876543210", 4)
	second := newPeer(t, db, nil, map[string]string{"CLUSTER_SECRET": secret})
	for _, args := range [][]string{{"daemon"}, {"state", "export"}, {"state", "cleanup", "--keyspace", db.keyspace}} {
		got := run(t, second.service(t, nil, args...))
		checkRefused(t, got, "the keyspace "+db.keyspace+` belongs to a cluster "ipfs-cluster" with another secret`, "state adopt")
		if strings.Contains(got.stderr, secret) {
			t.Error("the secret is shown")
		}
	}
	third := newPeer(t, db, nil, map[string]string{"CLUSTER_SCYLLA_CLUSTERNAME": "staging"})
	checkRefused(t, run(t, third.service(t, nil, "daemon")),
		"the keyspace "+db.keyspace+` belongs to the cluster "ipfs-cluster"`, `this peer is of the cluster "staging"`, "state.scylla.cluster_name")

	checkRefused(t, run(t, second.service(t, nil, "state", "adopt", "--keyspace", "other")), "nothing was changed")
	mustRun(t, first.service(t, nil, "state", "export"))
	mustRun(t, second.service(t, nil, "state", "adopt", "--keyspace", db.keyspace))
	mustRun(t, second.service(t, nil, "state", "export"))
	checkRefused(t, run(t, first.service(t, nil, "state", "export")), "with another secret")
	if got := mustRun(t, second.service(t, nil, "state", "adopt")); !strings.Contains(got.stderr, "already") {
		t.Errorf("adopting one's own keyspace says %s", got.stderr)
	}
}
