package stripe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/railstest"
)

// TestSecretFiles shows which files are taken, and that no error has what is in them.
func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		text string
		mode os.FileMode
		want string
	}{
		{"rk_test_Secret", 0o600, ""},
		{"rk_live_Secret\r\n", 0o640, ""},
		{"sk_live_Secret\n", 0o400, ""},
		{"rk_test_Secret", 0o604, "everybody on this machine may use"},
		{"rk_test_Secret", 0o602, "chmod o="},
		{"pk_live_Secret", 0o600, "does not begin with rk_test_"},
		{"rk_test_", 0o600, "does not begin with rk_test_"},
		{"", 0o600, "does not begin with rk_test_"},
		{"rk_test_Secret\nrk_test_Secret", 0o600, "is not one line"},
		{"rk_test_Sécret", 0o600, "is not one line"},
		{" rk_test_Secret", 0o600, "is not one line"},
		{"rk_test_" + strings.Repeat("Secret", 1000), 0o600, "is not one line"},
	} {
		name := filepath.Join(dir, "key")
		if err := os.WriteFile(name, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, tt.mode); err != nil {
			t.Fatal(err)
		}
		c, err := New(Options{KeyFile: name, Journal: new(railstest.Journal)})
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(strings.ReplaceAll(err.Error(), dir, ""), "cret") && !strings.Contains(err.Error(), "with a secret")) {
			t.Errorf("%.40q %v: %v, want %q", tt.text, tt.mode, err, tt.want)
		}
		if err == nil && (c.Name() != "stripe" || c.live != strings.Contains(tt.text, "_live_")) {
			t.Errorf("%.40q: %q, live %v", tt.text, c.Name(), c.live)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"", dir, filepath.Join(dir, "none")} {
		if _, err := New(Options{KeyFile: name, Journal: new(railstest.Journal)}); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	for url, ok := range map[string]bool{
		"": true, "https://stripe.example": true, "http://127.0.0.1:12111": true, "http://localhost:1": true, "http://[::1]:1": true,
		"http://stripe.example": false, "http://127.0.0.1.example": false, "stripe.example": false, "https://u:p@stripe.example": false, "ftp://127.0.0.1": false, "://": false,
	} {
		_, err := New(Options{KeyFile: w.secret(testKey), URL: url, Journal: w.journal})
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "u:p@") {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := New(Options{KeyFile: w.secret(testKey)}); err == nil {
		t.Error("it was made without a journal")
	}
}

func TestIDs(t *testing.T) {
	for id, ok := range map[string]bool{
		"cus_Ab9_z": true, "cus_": false, "cus": false, "in_1": false, "cus_a/b": false, "cus_a?b": false, "cus_..": false, "cus_é": false, "": false,
		"cus_" + strings.Repeat("a", 251): true, "cus_" + strings.Repeat("a", 252): false,
	} {
		if isID(id, "cus_") != ok {
			t.Errorf("%q is an id: %v", id, !ok)
		}
	}
}
