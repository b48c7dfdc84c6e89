package scylla

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
)

func TestLocalDC(t *testing.T) {
	for _, tt := range []struct {
		name, wanted string
		nodes        []node
		got, err     string
	}{
		{"the only one", "", nodes("dc1/a dc1/a dc1/b"), "dc1", ""},
		{"named", "dc2", nodes("dc1/a dc2/a"), "dc2", ""},
		{"not named", "", nodes("dc2/a dc1/a"), "", "the cluster has 2 data centres (dc1, dc2): set state.scylla.local_dc to the one this process is in"},
		{"unknown", "DC1", nodes("dc1/a"), "", `the cluster has no data centre "DC1", only dc1: correct state.scylla.local_dc`},
	} {
		got, err := (Config{Section: "state.scylla", LocalDC: tt.wanted}).localDC(tt.nodes)
		if got != tt.got || text(err) != tt.err {
			t.Errorf("%s: %q, %q", tt.name, got, text(err))
		}
		if err != nil && !Permanent(err) {
			t.Errorf("%s: waiting would not help", tt.name)
		}
	}
}

// TestSection: what a field is called depends on whose configuration it is in.
func TestSection(t *testing.T) {
	for section, want := range map[string]string{"state.scylla": "state.scylla.local_dc", "database": "database.local_dc", "": "local_dc"} {
		conf := Config{Section: section, LocalDC: "x", Replication: map[string]int{"x": 1}}
		if _, err := conf.localDC(nodes("a/1")); err == nil || !strings.HasSuffix(err.Error(), ": correct "+want) {
			t.Errorf("%q: %v", section, err)
		}
		if _, err := conf.replication(nodes("a/1")); err == nil || !strings.HasPrefix(err.Error(), conf.field("replication")+" names") {
			t.Errorf("%q: %v", section, err)
		}
		code := answered{gocql.ErrCodeCredentials, "Provided username u and/or password are incorrect"}
		db := &DB{conf: conf}
		db.connects.err = x509.UnknownAuthorityError{}
		for _, text := range []string{
			conf.explainConnect(errors.New("gocql"), code).Error(), conf.explainConnect(errors.New("authentication required"), nil).Error(),
			conf.connectReason(code), conf.connectReason(x509.HostnameError{}), conf.connectReason(tls.AlertError(40)), db.reason(code), db.reason(gocql.ErrNoConnections),
		} {
			if field := regexp.MustCompile(`(?:correct|set|look at) (\S+)`).FindStringSubmatch(text); field == nil || !strings.HasPrefix(field[1], strings.TrimSuffix(want, "local_dc")) {
				t.Errorf("%q: %s", section, text)
			}
		}
	}
}

// nodes makes nodes of words like dc/rack.
func nodes(words string) []node {
	var out []node
	for _, word := range strings.Fields(words) {
		dc, rack, _ := strings.Cut(word, "/")
		out = append(out, node{dc: dc, rack: rack})
	}
	return out
}

func TestReplication(t *testing.T) {
	for _, tt := range []struct {
		name     string
		wanted   map[string]int
		nodes    string
		got, err string
	}{
		{"one rack", nil, "a/1 a/1 a/1 a/1 b/1 b/1 c/1", "3 replicas in a, 2 replicas in b, 1 replica in c", ""},
		{"two racks", nil, "a/1 a/1 a/2 a/2", "2 replicas in a", ""},
		{"three racks", nil, "a/1 a/1 a/2 a/2 a/3", "3 replicas in a", ""},
		{"many racks", nil, "a/1 a/2 a/3 a/4 a/5", "3 replicas in a", ""},
		{"wanted", map[string]int{"a": 1}, "a/1 a/1 b/1", "1 replica in a", ""},
		{"too many", map[string]int{"a": 3}, "a/1 a/2", "", "state.scylla.replication asks for 3 replicas in a, which has 2 nodes: lower it or add nodes"},
		{"unknown", map[string]int{"x": 3}, "a/1 a/2", "", `state.scylla.replication names the data centre "x", which the cluster does not have`},
	} {
		got, err := (Config{Section: "state.scylla", Replication: tt.wanted}).replication(nodes(tt.nodes))
		if text(err) != tt.err || err == nil && describeReplicas(got) != tt.got {
			t.Errorf("%s: %v, %q", tt.name, got, text(err))
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestOpenWaitsAndSaysWhy shows that a server that is not there is waited for
// until connect_timeout, and that the error names the host and the cause.
func TestOpenWaitsAndSaysWhy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close() // nobody listens there now
	conf := Config{Hosts: []string{"127.0.0.1"}, Port: port, Keyspace: "k", RequestTimeout: time.Second, ConnectTimeout: 700 * time.Millisecond}
	_, err = Open(t.Context(), conf, noSetup)
	for _, part := range []string{"127.0.0.1:", "connect_timeout (700ms)", "connection refused"} {
		if !strings.Contains(text(err), part) {
			t.Errorf("%q does not name %q", text(err), part)
		}
	}

	conf.ConnectTimeout = 0 // for ever, but the operator may give up
	ctx, cancel := context.WithCancelCause(t.Context())
	gaveUp := errors.New("gave up")
	cancel(gaveUp)
	if _, err = Open(ctx, conf, noSetup); !errors.Is(err, gaveUp) {
		t.Errorf("Open ended with %v", err)
	}
}

// TestNoHostAnswers shows that the error has the reason of each host, once: one
// refuses connections, another one closes them.
func TestNoHostAnswers(t *testing.T) {
	port := hangsUp(t, "127.0.0.2", func(net.Conn, []byte) {})
	conf := Config{Hosts: []string{"127.0.0.1", "127.0.0.2", "127.0.0.1"}, Port: port}
	_, err := conf.survey(t.Context(), questionTimeout)
	refused, closed := fmt.Sprintf("dial tcp 127.0.0.1:%d: connect: connection refused", port), "127.0.0.2: EOF"
	if told := text(err); told != refused+"; "+closed && told != closed+"; "+refused {
		t.Errorf("%q; want %q and %q, each once", text(err), refused, closed)
	}
}

// TestDriverSettings shows that the driver is told what the configuration says.
func TestDriverSettings(t *testing.T) {
	conf := Config{Port: 9142, Compress: true, DisableShardAwarePort: true, Username: "u", Password: "p", TLS: &TLS{ServerName: "db.example"}}
	cc, err := conf.cluster()
	if err != nil {
		t.Fatal(err)
	}
	if cc.Port != 9142 || cc.Compressor == nil || cc.Compressor.Name() != "snappy" || !cc.DisableShardAwarePort {
		t.Errorf("port %d, compression %v, shard-aware port disabled %t", cc.Port, cc.Compressor, cc.DisableShardAwarePort)
	}
	if auth, ok := cc.Authenticator.(gocql.PasswordAuthenticator); !ok || auth.Username != "u" || auth.Password != "p" {
		t.Errorf("authenticator %v", cc.Authenticator)
	}
	if ssl := cc.SslOpts; ssl == nil || !ssl.EnableHostVerification || ssl.Config.ServerName != "db.example" || ssl.Config.InsecureSkipVerify {
		t.Errorf("TLS %+v", ssl)
	}
	if cc, err = (Config{}).cluster(); err != nil || cc.Compressor != nil || cc.DisableShardAwarePort || cc.Authenticator != nil || cc.SslOpts != nil {
		t.Errorf("without settings: %+v, %v", cc, err)
	}
}

// TestOpenMistakes shows that mistakes end the wait at once.
func TestOpenMistakes(t *testing.T) {
	good := testConfig(t)
	good.ConnectTimeout = 0
	for _, tt := range []struct {
		name   string
		change func(*Config)
		text   string
	}{
		{"unknown data centre", func(c *Config) { c.LocalDC = "nowhere" }, `no data centre "nowhere"`},
		{"too many replicas", func(c *Config) { c.Replication = map[string]int{"dc1": 99} }, "asks for 99 replicas"},
		{"missing keyspace", func(c *Config) { c.CreateKeyspace = false }, "does not exist and may not be created here"},
		{"missing CA", func(c *Config) { c.TLS = &TLS{CAFile: "/nonexistent/ca.pem"} }, "reading the CA of the database"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conf := good
			tt.change(&conf)
			_, err := Open(t.Context(), conf, noSetup)
			if !Permanent(err) || !strings.Contains(text(err), tt.text) {
				t.Errorf("permanent %t, %q", Permanent(err), text(err))
			}
		})
	}
}

// TestOpenRefusesPlainTextWhenTLSIsWanted asks for TLS from a server that has
// none.
func TestOpenRefusesPlainTextWhenTLSIsWanted(t *testing.T) {
	conf := testConfig(t)
	conf.TLS = &TLS{}
	conf.ConnectTimeout = 2 * time.Second
	if db, err := Open(t.Context(), conf, noSetup); err == nil {
		db.Close()
		t.Fatal("a connection without TLS was accepted")
	}
}

// TestHopeless: a password that is refused may be right where the server has just started, and
// nowhere else.
func TestHopeless(t *testing.T) {
	refused := &PermanentError{Text: "the database refused the user name or the password", Err: answered{gocql.ErrCodeCredentials, "incorrect"}}
	never := time.Since(time.Time{})
	for _, tt := range []struct {
		err     error
		reached time.Duration
		want    bool
	}{
		{refused, never, true},
		{refused, newServer, true},
		{refused, time.Second, false},
		{&PermanentError{Text: "no such data centre"}, time.Second, true},
		{errors.New("connection refused"), never, false},
	} {
		if got := hopeless(tt.err, tt.reached); got != tt.want {
			t.Errorf("%v, %s after the database could not be reached: %t", tt.err, tt.reached, got)
		}
	}
}
