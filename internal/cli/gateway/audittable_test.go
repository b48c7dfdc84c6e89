package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audittable"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// auditWorld is a gateway with records in files and in the table, each with copies of the
// checkpoints of the other.
type auditWorld struct {
	config string
	folder string
	db     *scylla.DB
}

func newAuditWorld(t *testing.T) *auditWorld {
	t.Helper()
	server := cqltest.Start(t)
	conf := keyspace.Default()
	conf.Hosts, conf.Port, conf.Keyspace = server.Hosts(), server.Port(), server.Emptied(t)
	db, err := keyspace.Open(t.Context(), conf, nil)
	must(t, err)
	t.Cleanup(db.Close)

	w := &auditWorld{config: filepath.Join(t.TempDir(), "gateway.json"), db: db}
	if _, err := w.run("init"); err != nil {
		t.Fatal(err)
	}
	w.folder = filepath.Join(filepath.Dir(w.config), "records")
	t.Setenv("PIN_GATEWAY_DATABASE_HOSTS", strings.Join(conf.Hosts, ","))
	t.Setenv("PIN_GATEWAY_DATABASE_PORT", strconv.Itoa(conf.Port))
	t.Setenv("PIN_GATEWAY_DATABASE_KEYSPACE", conf.Keyspace)
	t.Setenv("PIN_GATEWAY_AUDIT_FOLDER", "records")
	t.Setenv("PIN_GATEWAY_AUDIT_WRITER", "gw-1")

	key := w.key(t)
	copies, err := audit.OpenFileCopy(audit.TableCopy(w.folder, "gw-1"))
	must(t, err)
	checkpoints, err := audittable.NewCheckpoints(db, 0)
	must(t, err)
	file, err := audit.OpenFile(audit.FileOptions{Dir: w.folder, Writer: "gw-1", Key: key, Copies: []audit.CheckpointCopy{checkpoints}})
	must(t, err)
	table, err := audittable.Open(t.Context(), db, audittable.Options{
		Chain: audit.ChainOptions{Writer: "gw-1", Key: key, Copies: []audit.CheckpointCopy{copies}},
	})
	must(t, err)
	for _, sink := range []audit.Sink{file, table} {
		r, err := audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{sink}})
		must(t, err)
		p, err := r.Begin(t.Context(), audit.Event{Actor: audit.Actor{Principal: "alice", Tenant: "acme"}, Action: "pins:create", Decision: audit.Decision{Allowed: true}})
		must(t, err)
		must(t, p.End(context.WithoutCancel(t.Context()), audit.Result{Verdict: audit.Success}))
	}
	must(t, file.Close())
	must(t, table.Close())
	must(t, copies.Close())
	return w
}

// key reads the key that init has made.
func (w *auditWorld) key(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(w.config), "audit.pem"))
	must(t, err)
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	return key.(ed25519.PrivateKey)
}

// run runs a command and returns what it has written, to stderr last.
func (w *auditWorld) run(args ...string) (string, error) {
	var out, problems bytes.Buffer
	code := Main(append([]string{programName, "--config", w.config, "--loglevel", "error"}, args...), strings.NewReader(""), &out, &problems)
	if code != 0 {
		return out.String() + problems.String(), &exitError{code, problems.String()}
	}
	return out.String(), nil
}

type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return "exit code " + strconv.Itoa(e.code) + ": " + e.text }

// What is in the table is verified, searched and exported as files are, and each of them is
// compared with the copies of checkpoints that the other has.
func TestAuditTable(t *testing.T) {
	w := newAuditWorld(t)
	for _, args := range [][]string{
		{"audit", "verify"}, {"audit", "verify", "--copies"},
		{"audit", "verify", "--table"}, {"audit", "verify", "--table", "--copies"},
	} {
		if out, err := w.run(args...); err != nil || !strings.Contains(out, "gw-1") {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	for _, command := range []string{"search", "export"} {
		out, err := w.run("audit", command, "--table", "--tenant", "acme")
		if err != nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "pins:create") || !strings.Contains(out, "success") {
			t.Errorf("%s: %v %s", command, err, out)
		}
	}

	must(t, w.db.Session.Query("DELETE FROM audit_records WHERE writer = 'gw-1' AND block = 0 AND seq >= 3").Exec())
	if out, err := w.run("audit", "verify", "--table"); err != nil {
		t.Errorf("a table that was cut, without copies: %v %s", err, out)
	}
	if out, err := w.run("audit", "verify", "--table", "--copies"); err == nil || !strings.Contains(out, "records were cut off") {
		t.Errorf("a table that was cut: %v %s", err, out)
	}
	must(t, w.db.Session.Query("TRUNCATE audit_records").Exec())
	if out, err := w.run("audit", "verify", "--table"); err == nil || !strings.Contains(out, "there are none in the keyspace") {
		t.Errorf("an empty table, without copies: %v %s", err, out)
	}
	if out, err := w.run("audit", "verify", "--table", "--copies"); err == nil || !strings.Contains(out, "there are checkpoints of it, and no records") {
		t.Errorf("an empty table: %v %s", err, out)
	}

	names, err := filepath.Glob(filepath.Join(w.folder, "gw-1.*.jsonl"))
	must(t, err)
	for _, name := range names {
		must(t, os.Remove(name))
	}
	if out, err := w.run("audit", "verify", "--copies"); err == nil || !strings.Contains(out, "there are checkpoints of it, and no records") {
		t.Errorf("files that were removed: %v %s", err, out)
	}
}
