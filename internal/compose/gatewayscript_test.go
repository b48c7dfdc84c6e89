package compose

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
)

// newGateway returns the gateway's container, with its configuration moved to
// the folder that stands for its volume.
func newGateway(t *testing.T) container {
	t.Helper()
	g := container{script: gatewayScript, folder: filepath.Join(t.TempDir(), "data")}
	if err := os.Mkdir(g.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(read(t, gatewayConfig), readDockerfile(t).env["GATEWAY_PATH"]+"/", g.folder+"/")
	file := filepath.Join(t.TempDir(), "pin-gateway.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g.env = []string{"PATH=" + binaries(t) + ":/usr/bin:/bin", "HOME=" + t.TempDir(), "GATEWAY_PATH=" + g.folder, config.FileVariable + "=" + file}
	for name, value := range mustLoad(t).Services["gateway"].Environment {
		if value != nil {
			g.env = append(g.env, name+"="+*value)
		}
	}
	return g
}

// secrets returns the files of the volume, by their names in it.
func (p container) secrets(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(p.folder, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		found[strings.TrimPrefix(name, p.folder+"/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// serves starts the gateway's container once more, and returns the secrets. It
// fails the test unless the gateway could serve with them.
func (p container) serves(t *testing.T) (secrets map[string]string, out string) {
	t.Helper()
	out, err := p.start(t, "config", "--check")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	secrets = p.secrets(t)
	want := []string{"secrets/audit-public.pem", "secrets/audit.pem", "secrets/pepper-1", "secrets/session-1.pem"}
	if names := slices.Sorted(maps.Keys(secrets)); !slices.Equal(names, want) {
		t.Fatalf("the volume has %q, want %q", names, want)
	}
	key, _ := pem.Decode([]byte(secrets["secrets/audit.pem"]))
	public, _ := pem.Decode([]byte(secrets["secrets/audit-public.pem"]))
	if key == nil || public == nil {
		t.Fatal("the keys of the records are not in PEM format")
	}
	private, err := x509.ParsePKCS8PrivateKey(key.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	half, err := x509.MarshalPKIXPublicKey(private.(ed25519.PrivateKey).Public())
	if err != nil || string(half) != string(public.Bytes) {
		t.Errorf("audit-public.pem is not of audit.pem: %v", err)
	}
	return secrets, out
}

// TestGatewayScript starts the gateway's container twice. The first start makes
// the secrets, for nobody else to read, and the second leaves them alone.
func TestGatewayScript(t *testing.T) {
	g := newGateway(t)
	first, out := g.serves(t)
	if !strings.Contains(out, "new: "+g.folder+"/secrets") {
		t.Errorf("the first start does not say what it made:\n%s", out)
	}
	for name := range first {
		for _, name := range []string{name, filepath.Dir(name)} {
			if info, err := os.Stat(filepath.Join(g.folder, name)); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: others may use it: %v, %v", name, info.Mode(), err)
			}
		}
	}
	second, out := g.serves(t)
	if out != "" {
		t.Errorf("the second start does more than the command:\n%s", out)
	}
	if !maps.Equal(first, second) {
		t.Error("the second start changed the secrets")
	}
	if other, _ := newGateway(t).serves(t); other["secrets/pepper-1"] == first["secrets/pepper-1"] {
		t.Error("two gateways have the same pepper")
	}
}

// A container dies in the middle of its first start, at each step. The next
// start makes all secrets, unless they were made.
func TestGatewayScriptGoesOn(t *testing.T) {
	for name, dying := range map[string]struct {
		program, text string
		made          bool
	}{
		"in init": {program: "pin-gateway", text: `
			mkdir -p "${2%/*}"
			echo abc >"${2%/*}/pepper-1"
			kill -9 $PPID`},
		"after init": {program: "rm", text: `
			case $1 in -rf) exec /bin/rm "$@";; esac
			kill -9 $PPID`},
		"before the move": {program: "mv", text: `
			kill -9 $PPID`},
		"after the move": {program: "mv", text: `
			/bin/mv "$@"
			kill -9 $PPID`, made: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, dying.program), []byte("#!/bin/sh"+dying.text+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			if out, err := g.with(dir).start(t, "config", "--check"); err == nil {
				t.Fatalf("the first start did not die:\n%s", out)
			}
			before := g.secrets(t)
			if _, made := before["secrets/pepper-1"]; made != dying.made {
				t.Fatalf("the first start left %q", slices.Sorted(maps.Keys(before)))
			}
			after, _ := g.serves(t)
			if dying.made && !maps.Equal(before, after) {
				t.Error("the next start changed the secrets")
			}
			if again, _ := g.serves(t); !maps.Equal(after, again) {
				t.Error("the start after the next changed the secrets")
			}
		})
	}
}

// A gateway whose secrets could not be made does not go on to run, and one
// that lacks one of them later gets no other in its place.
func TestGatewayScriptStops(t *testing.T) {
	g := newGateway(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pin-gateway"), []byte("#!/bin/sh\necho \"ran $*\"\ncase $3 in init) exit 1;; esac\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := g.with(dir).start(t, "serve"); err == nil || strings.Contains(out, "ran serve") {
		t.Errorf("without secrets: %v\n%s", err, out)
	}
	before, _ := g.serves(t)
	if err := os.Remove(filepath.Join(g.folder, "secrets", "pepper-1")); err != nil {
		t.Fatal(err)
	}
	if out, err := g.start(t, "config", "--check"); err == nil || !strings.Contains(out, "pepper-1") {
		t.Errorf("without the pepper: %v\n%s", err, out)
	}
	delete(before, "secrets/pepper-1")
	if !maps.Equal(before, g.secrets(t)) {
		t.Error("the other secrets were changed")
	}
}
