package cqlsection

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	if err := Default("pins_of_a_program").Validate(); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*Config){
		"hosts":            func(c *Config) { c.Hosts = nil },
		"hosts ":           func(c *Config) { c.Hosts = []string{"a:9042"} },
		"hosts  ":          func(c *Config) { c.Hosts = []string{"http://a"} },
		"port":             func(c *Config) { c.Port = 0 },
		"keyspace":         func(c *Config) { c.Keyspace = "Pins" },
		"local_dc":         func(c *Config) { c.LocalDC = "a'b" },
		"replication":      func(c *Config) { c.Replication = map[string]int{"dc1": 0} },
		"replication ":     func(c *Config) { c.Replication = map[string]int{"dc'1": 1} },
		"username":         func(c *Config) { c.Username = "role" },
		"username ":        func(c *Config) { c.PasswordFile = "password" },
		"tls.enabled":      func(c *Config) { c.TLS.CAFile = "ca.pem" },
		"tls.cert_file":    func(c *Config) { c.TLS = TLS{Enabled: true, KeyFile: "key.pem"} },
		"request_timeout":  func(c *Config) { c.RequestTimeout = Duration(time.Second) },
		"request_timeout ": func(c *Config) { c.RequestTimeout = Duration(time.Hour) },
		"connect_timeout":  func(c *Config) { c.ConnectTimeout = -1 },
		"schema":           func(c *Config) { c.Schema = "" },
	} {
		conf := Default("pins_of_a_program")
		spoil(&conf)
		if err := conf.Validate(); err == nil || !strings.HasPrefix(err.Error(), "database."+strings.TrimSpace(field)+" ") {
			t.Errorf("%s: %v", field, err)
		}
	}
	several := Default("pins_of_a_program")
	several.Port, several.Schema = -1, "x"
	if err := several.Validate(); !strings.Contains(err.Error(), "database.port") || !strings.Contains(err.Error(), "database.schema") {
		t.Errorf("two mistakes: %v", err)
	}
}

func TestJSON(t *testing.T) {
	conf := Default("pins_of_a_program")
	conf.ConnectTimeout, conf.Replication, conf.TLS = Duration(time.Minute), map[string]int{"dc1": 3}, TLS{Enabled: true, CAFile: "ca.pem"}
	text, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	var again Config
	if err := json.Unmarshal(text, &again); err != nil || fmt.Sprint(again) != fmt.Sprint(conf) || !strings.Contains(string(text), `"request_timeout":"10s"`) {
		t.Errorf("%s is %+v, %v", text, again, err)
	}
	if err := json.Unmarshal([]byte(`{"request_timeout":10}`), &again); err == nil {
		t.Error("a number is a duration")
	}
}

// The password is in a file, and names of files start at the folder.
func TestSession(t *testing.T) {
	conf := Default("pins_of_a_program")
	conf.Folder = t.TempDir()
	conf.Username, conf.PasswordFile = "role", "password"
	conf.TLS = TLS{Enabled: true, CAFile: "ca.pem", CertFile: "/etc/cert.pem", KeyFile: "key.pem", ServerName: "db"}
	if _, err := conf.session(); err == nil || !strings.Contains(err.Error(), "database.password_file") {
		t.Errorf("without the file: %v", err)
	}
	file := filepath.Join(conf.Folder, "password")
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := conf.session(); err != nil || got.Section != "database" {
		t.Errorf("operators are told of the section %q, %v", got.Section, err)
	}
	for content, want := range map[string]string{"secret": "secret", "secret\n": "secret", " secret \r\n": " secret ", "\n": "", "": ""} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := conf.session()
		if got.Password != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", content, got.Password, err)
		}
		if err == nil && (got.TLS.CAFile != filepath.Join(conf.Folder, "ca.pem") || got.TLS.CertFile != "/etc/cert.pem" || got.TLS.ServerName != "db") {
			t.Errorf("the files are %+v", got.TLS)
		}
	}
	conf = Default("pins_of_a_program")
	got, err := conf.session()
	if err != nil || got.TLS != nil || !got.CreateKeyspace || got.RequestTimeout != 10*time.Second {
		t.Errorf("the default is %+v, %v", got, err)
	}
}
