package peerapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"
)

// Config says where the peers are. Zero times mean the default.
type Config struct {
	// URLs are those of the REST API of one or more peers of one cluster, the preferred
	// first: http://HOST:PORT, https://HOST:PORT, with or without a path before that of
	// the API, or unix:///PATH of a socket.
	URLs []string
	// User and the text of PasswordFile are the gateway's own for all of the peers
	// (basic_auth_credentials of their API). None if both are empty.
	User, PasswordFile string
	// CAFile has certificates (PEM) that those of the peers are to be signed by: those
	// of the system if it is empty.
	CAFile string
	// Attempt bounds one question to one peer: 20 seconds. A peer itself waits 15 for
	// the others of its cluster.
	Attempt time.Duration
	// Rest is for how long a peer that did not answer is asked last: 5 seconds.
	Rest time.Duration
	// Silence is how long a peer may send nothing while it answers a request of a client
	// that is more than a GET, such as one with content: 5 minutes. Of a GET it is Attempt,
	// if that is less.
	Silence time.Duration
}

// The limits of what a peer may send and of what is read from files, in bytes.
const (
	maxHeader = 64 << 10
	maxAnswer = 64 << 20
	maxFile   = 1 << 20
)

// New makes a client. It reads the files, and does not talk to the peers.
func New(config Config) (*Client, error) {
	config.Attempt = cmp.Or(config.Attempt, 20*time.Second)
	config.Rest = cmp.Or(config.Rest, 5*time.Second)
	config.Silence = cmp.Or(config.Silence, 5*time.Minute)
	if config.Attempt < 0 || config.Rest < 0 || config.Silence < 0 {
		return nil, errors.New("a time is negative")
	}
	if len(config.URLs) == 0 {
		return nil, errors.New("there is no URL of a peer")
	}
	if (config.User == "") != (config.PasswordFile == "") {
		return nil, errors.New("the user and the file with the password go together")
	}
	if strings.Contains(config.User, ":") {
		return nil, fmt.Errorf("the user %q has a colon, which basic authentication has no way to send", config.User)
	}
	c := &Client{config: config}
	if config.PasswordFile != "" {
		text, err := readFile(config.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("the password for the peers: %w", err)
		}
		if c.password = string(bytes.TrimRight(text, "\r\n")); c.password == "" {
			return nil, fmt.Errorf("the password for the peers: %s is empty", config.PasswordFile)
		}
	}
	roots, err := roots(config.CAFile)
	if err != nil {
		return nil, fmt.Errorf("the certificates of the peers: %w", err)
	}
	for _, text := range config.URLs {
		p, err := newPeer(text, roots)
		if err != nil {
			return nil, fmt.Errorf("the URL %q of a peer: %w", text, err)
		}
		c.peers = append(c.peers, p)
	}
	return c, nil
}

func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // those of the system
	}
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has none", file)
	}
	return pool, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", name, maxFile)
	}
	return text, err
}

// newPeer reads a URL.
func newPeer(text string, roots *x509.CertPool) (*peer, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" {
		return nil, errors.New("it has more than a scheme, a host and a path: user and password have settings of their own")
	}
	dialer := &net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}
	dial := dialer.DialContext
	switch {
	case (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "":
	case u.Scheme == "unix" && u.Host == "" && path.IsAbs(u.Path) && path.Clean(u.Path) != "/":
		socket := u.Path
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}
		u = &url.URL{Scheme: "http", Host: "peer"}
	default:
		return nil, errors.New("it is none of http://HOST, https://HOST and unix:///PATH")
	}
	transport := &http.Transport{
		// No Proxy: what is in the environment is not meant for the cluster.
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        time.Minute, // upstream's server closes them after two
		MaxResponseHeaderBytes: maxHeader,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true,
	}
	return &peer{
		name: text,
		base: u.Scheme + "://" + u.Host + strings.TrimSuffix(u.EscapedPath(), "/"),
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}
