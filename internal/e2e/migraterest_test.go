package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
)

// certificate makes a key and a certificate for an address that signs itself, as
// files.
func certificate(t *testing.T, host string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.ParseIP(host)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return writeFile(t, "cert.pem", cert), writeFile(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})), pool
}

// The pins of a running cluster arrive through its REST API with TLS and a
// password, which nobody gets to see.
func TestMigrateREST(t *testing.T) {
	t.Parallel()
	k := startKubo(t)
	p := newLocalPeer(t, stock, "crdt", k)
	const secret = "correct horse"
	certFile, keyFile, pool := certificate(t, ownAddress())
	p.edit(t, func(config map[string]any) {
		api := config["api"].(map[string]any)["restapi"].(map[string]any)
		api["ssl_cert_file"], api["ssl_key_file"] = certFile, keyFile
		api["basic_auth_credentials"] = map[string]string{"alice": secret}
	})
	mustRun(t, p.as(t, stock, "state", "import", "-f", writeExport(t, lasting(typed(variedPins(t, 200))))))
	lines := exportedBy(t, p, stock)
	url := "https://" + strings.TrimPrefix(p.url, "http://")
	p.url = strings.Replace(url, "https://", "https://alice:correct%20horse@", 1)
	p.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(p.client.CloseIdleConnections)
	p.startAs(t, stock)

	m := newTarget(t, k, nil)
	right, wrong := writeFile(t, "right", []byte(secret+"\n")), writeFile(t, "wrong", []byte("battery staple"))
	command := func(ca string, args ...string) *exec.Cmd {
		t.Helper()
		return m.service(t, map[string]string{"SSL_CERT_FILE": ca}, append([]string{"migrate"}, args...)...)
	}
	for _, test := range []struct {
		cmd  *exec.Cmd
		want []string
	}{
		{command(certFile, "run", "--from", "rest:"+url), []string{"does not let this user list pins", "401", "--from-password-file"}},
		{command(certFile, "run", "--from", "rest:"+url, "--from-username", "alice", "--from-password-file", wrong), []string{"does not let this user list pins"}},
		{command("/dev/null", "run", "--from", "rest:"+url, "--from-username", "alice", "--from-password-file", right), []string{"certificate"}},
		{command(certFile, "run", "--from", "rest:"+url+"/nowhere", "--from-username", "alice", "--from-password-file", right), []string{"does not list its pins", "404"}},
	} {
		got := run(t, test.cmd)
		checkRefused(t, got, test.want...)
		if strings.Contains(got.stderr+got.stdout, secret) || strings.Contains(got.stderr+got.stdout, "battery") {
			t.Errorf("the password is shown:\n%s%s", got.stdout, got.stderr)
		}
	}
	m.empty(t, "migrations")
	flags := []string{"--from", "rest:" + url, "--from-username", "alice", "--from-password-file", right}
	mustRun(t, command(certFile, append([]string{"run"}, flags...)...)).says(t, 0, "a running cluster goes on changing")
	m.holds(t, lines)
	mustRun(t, command(certFile, append([]string{"verify"}, flags...)...)).says(t, 0, "both sides are the same")

	// What changes there until the second run is brought up to date.
	cids := k.addBlocks(t, t.Name(), 1)
	p.mustPin(t, cids[0], nil)
	plain := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, `"type":"pin"`) })
	if err := p.unpin(decodeLine(t, lines[plain]).Cid.String()); err != nil {
		t.Fatal(err)
	}
	got := mustRun(t, command(certFile, append([]string{"run", "--json", "--remove-missing"}, flags...)...))
	equals(t, "pins that were removed", object[migrate.Report](t, got, "report").Removed, 1)
	p.stop(t)
	m.holds(t, exportedBy(t, p, stock))
	if strings.Contains(got.stdout+mustRun(t, command(certFile, "status")).stdout, secret) {
		t.Error("the password is in the report")
	}
}

// The pinset of another cluster in another keyspace arrives as it is; a keyspace
// is not brought into itself.
func TestMigrateKeyspace(t *testing.T) {
	t.Parallel()
	there := newTarget(t, nil, map[string]string{
		"CLUSTER_CLUSTERNAME": "another", "CLUSTER_SECRET": strings.Repeat("fedcba9876543210", 4),
	})
	pins := typed(variedPins(t, 200))
	there.mustMigrate(t, "run", "--from", "export:"+writeExport(t, pins))
	lines := there.exported(t)
	if len(lines) != len(pins) {
		t.Fatalf("%d pins are there, want %d", len(lines), len(pins))
	}
	m := newTarget(t, nil, nil)
	from := func(m *target) string {
		return "cql:" + strings.Join(m.db.hosts, ",") + ":" + strconv.Itoa(m.db.port) + "/" + m.db.keyspace
	}
	rows := there.stored(t)
	got := m.mustMigrate(t, "run", "--from", from(there), "--json")
	equals(t, "pins that were copied", object[migrate.Report](t, got, "report").Copied, int64(len(lines)))
	m.holds(t, lines)
	m.mustMigrate(t, "verify", "--from", from(there)).says(t, 0, "both sides are the same")
	for _, command := range []string{"plan", "run", "verify"} {
		checkRefused(t, m.migrate(t, command, "--from", from(m)), "this is the keyspace that the pins would go to")
	}
	m.holds(t, lines)
	if now := there.stored(t); len(now) != len(rows) || !slices.Equal(there.exported(t), lines) {
		t.Errorf("the source has changed: %d pins, before %d", len(now), len(rows))
	}
}
