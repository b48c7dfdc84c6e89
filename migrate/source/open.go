package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Options are what some kinds of source need besides their name.
type Options struct {
	// Stdin is what export:- reads.
	Stdin io.Reader
	// Username and Password are for rest, whose URL must not have them.
	Username, Password string
}

// kinds is what a --from can be, for error messages.
const kinds = "crdt:FOLDER, raft:FOLDER, export:FILE, export:-, rest:URL or cql:HOSTS/KEYSPACE"

// Open opens the source that from names: crdt:FOLDER or raft:FOLDER (the folder
// of a stopped peer, with its service.json), export:FILE, export:- or rest:URL.
// It fails for cql:HOSTS/KEYSPACE, which is opened with NewValues. Its errors
// say what to do, and hold no secret. The ctx is for Open only.
func Open(ctx context.Context, from string, opts Options) (Source, error) {
	kind, place, err := parse(from)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if kind != "rest" && (opts.Username != "" || opts.Password != "") {
		return nil, fmt.Errorf("--from %s: has no user and no password: they are for rest:URL", kind)
	}
	var s Source
	switch kind {
	case "crdt":
		s, err = openCRDT(ctx, place)
	case "raft":
		s, err = openRaft(place)
	case "export":
		s, err = openExport(place, opts.Stdin)
	default:
		s, err = openREST(place, opts.Username, opts.Password)
	}
	if err != nil {
		return nil, fmt.Errorf("--from %s:%s: %w", kind, place, err)
	}
	return s, nil
}

// parse splits a --from into its kind and its place. Folders and files come back
// as they were written, except for a ~ at their beginning, an URL in its normal form.
// Its errors do not repeat the place, which may hold a password by mistake.
func parse(from string) (kind, place string, err error) {
	kind, place, found := strings.Cut(from, ":")
	switch {
	case !found:
		return "", "", fmt.Errorf("--from has no kind: use %s", kinds)
	case kind == "cql":
		return "", "", errors.New("--from cql: is opened by its own means, not as a folder, a file or an URL")
	case kind == "http" || kind == "https":
		return "", "", fmt.Errorf("--from has no kind: use rest:URL for the REST API of a cluster, or one of %s", kinds)
	case kind != "crdt" && kind != "raft" && kind != "export" && kind != "rest":
		return "", "", fmt.Errorf("--from has the kind %.20q, which is unknown: use %s", kind, kinds)
	case place == "":
		return "", "", fmt.Errorf("--from %s: names nothing: use %s", kind, kinds)
	case kind == "rest":
		place, err = parseURL(place)
		return kind, place, err
	}
	place, err = inHome(place)
	return kind, place, err
}

// inHome puts the home folder in the place of a ~ that a shell has left there: it
// replaces one only at the beginning of a word.
func inHome(place string) (string, error) {
	rest, found := strings.CutPrefix(place, "~/")
	if !found && place != "~" {
		return place, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("--from has a ~, and the home folder is not known: write the whole path: %w", err)
	}
	if !found {
		return home, nil
	}
	return filepath.Join(home, rest), nil
}

// parseURL returns an URL of an API in its normal form.
func parseURL(place string) (string, error) {
	u, err := url.Parse(place)
	if err != nil {
		return "", errors.New("--from rest: is no URL: use rest:http://HOST:PORT or rest:https://HOST:PORT")
	}
	switch {
	case u.User != nil:
		return "", errors.New("--from rest: has a user or password in its URL, where lists of processes and logs show it: use --from-username and --from-password-file")
	case u.Scheme != "http" && u.Scheme != "https", u.Opaque != "":
		return "", errors.New("--from rest: is no URL of HTTP: use rest:http://HOST:PORT or rest:https://HOST:PORT")
	case u.Hostname() == "":
		return "", errors.New("--from rest: has no host: use rest:http://HOST:PORT or rest:https://HOST:PORT")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("--from rest: has a query or a fragment: use only rest:http://HOST:PORT/PATH")
	}
	normal := url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}
	if p := path.Clean("/" + u.Path); p != "/" {
		normal.Path = p
	}
	return normal.String(), nil
}

// realPath returns the one name of a file or folder that exists.
func realPath(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}
