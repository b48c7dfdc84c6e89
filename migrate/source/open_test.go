package source

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFromThatIsNone(t *testing.T) {
	for from, want := range map[string]string{
		"":                            "has no kind: use crdt:FOLDER",
		"/some/folder":                "cql:HOSTS/KEYSPACE",
		"CRDT:/x":                     "is unknown",
		"crdt:":                       "names nothing",
		"cql:127.0.0.1/ks":            "by its own means",
		"http://u:secret@h:1":         "use rest:URL",
		"rest:http://u:secret@h:1":    "--from-password-file",
		"rest:ftp://h":                "no URL of HTTP",
		"rest:h:9094":                 "no URL of HTTP",
		"rest:http:h":                 "no URL of HTTP",
		"rest:http://":                "has no host",
		"rest:http://h/?secret":       "has a query",
		"rest:http://u:secret@h:%zz/": "is no URL",
		"secret://u:secret@h":         "unknown",
		"rest:http://h/#secret":       "a fragment",
	} {
		_, err := Open(t.Context(), from, Options{})
		wantError(t, err, want)
		if strings.Contains(err.Error(), "u:secret") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
	_, err := Open(t.Context(), "crdt:/x", Options{Username: "u"})
	wantError(t, err, "has no user")
	_, err = Open(t.Context(), "rest:http://h", Options{Password: "p"})
	wantError(t, err, "no user")
	if _, err := Open(canceled(t), "rest:http://h", Options{}); err == nil {
		t.Error("it is opened after the end")
	}
}

// TestFromInTheHomeFolder: no shell replaces a ~ behind a colon.
func TestFromInTheHomeFolder(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for from, want := range map[string]string{
		"crdt:~/.ipfs-cluster": filepath.Join(home, ".ipfs-cluster"),
		"raft:~/a/b":           filepath.Join(home, "a", "b"),
		"export:~/pins.json":   filepath.Join(home, "pins.json"),
		"crdt:~":               home,
		"crdt:./~/x":           "./~/x",
		"crdt:/a/~/x":          "/a/~/x",
		"crdt:~other/x":        "~other/x",
		"export:-":             "-",
	} {
		_, place, err := parse(from)
		if err != nil || place != want {
			t.Errorf("%s became %q, %v, want %q", from, place, err, want)
		}
	}
	text, want := exportOf(t, samplePins(t, 5))
	ok(t, os.WriteFile(filepath.Join(home, "pins.json"), text, 0o600))
	s := open(t, "export:~/pins.json")
	sameValues(t, readAll(t, s).values, want)
	if s.ID() != "export:"+filepath.Join(home, "pins.json") {
		t.Errorf("the ID is %s", s.ID())
	}
	t.Setenv("HOME", "")
	_, err := Open(t.Context(), "crdt:~/x", Options{})
	wantError(t, err, "write the whole path")
}

func TestIDOfAnURL(t *testing.T) {
	for from, want := range map[string]string{
		"rest:http://Host.Example:9094/":    "rest:http://host.example:9094",
		"rest:https://[::1]:9094/a//b/../c": "rest:https://[::1]:9094/a/c",
	} {
		s, err := Open(t.Context(), from, Options{Username: "u", Password: "secret"})
		ok(t, err)
		if s.ID() != want {
			t.Errorf("%s is %s, want %s", from, s.ID(), want)
		}
	}
}

// FuzzOpenFrom feeds arbitrary text to the parser of --from: it never panics, an
// URL stays the same when it is parsed again, and has no password.
func FuzzOpenFrom(f *testing.F) {
	for _, from := range []string{"crdt:/a", "export:-", "rest:http://h:1/p", "rest:http://u:p@h", "rest:https://[::1%25eth0]:1", ":", "rest:", "crdt:~/a", "raft:~"} {
		f.Add(from)
	}
	f.Fuzz(func(t *testing.T, from string) {
		kind, place, err := parse(from)
		if err != nil || kind != "rest" {
			if err == nil && (place == "" || kind+":"+place != from && !strings.HasPrefix(from, kind+":~")) {
				t.Fatalf("%q became %q and %q", from, kind, place)
			}
			return
		}
		kind2, again, err := parse(kind + ":" + place)
		if err != nil || kind2 != kind || again != place {
			t.Fatalf("%q became %q, and then %q, %v", from, place, again, err)
		}
		if u, err := url.Parse(place); err != nil || u.User != nil {
			t.Fatalf("%q became %q", from, place)
		}
	})
}
