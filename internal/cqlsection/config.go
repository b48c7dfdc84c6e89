package cqlsection

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Values of Config.Schema.
const (
	// SchemaApply makes the keyspace and the tables that are missing.
	SchemaApply = "apply"
	// SchemaVerify refuses to start when something is missing, for a role without rights
	// on the schema.
	SchemaVerify = "verify"
)

// section is what it is called in a configuration.
const section = "database"

// Config says where the tables of a program are and how they are reached. It is the section
// "database" of the program's configuration, the same for all instances but local_dc.
type Config struct {
	// Hosts are names or addresses of database nodes, without ports. One that answers is
	// enough: the others are learnt from it.
	Hosts []string `json:"hosts"`
	// Port is the CQL port of all nodes.
	Port int `json:"port"`
	// Keyspace is the program's own. That of an ipfs-cluster is refused, and that of another
	// program.
	Keyspace string `json:"keyspace"`
	// LocalDC is the data centre to talk to. It may be empty when there is only one.
	LocalDC string `json:"local_dc,omitempty"`
	// Replication is the number of replicas in each data centre, used when the keyspace is
	// made. Empty means one in each rack of a data centre with two or three racks, else
	// three, or as many as it has nodes.
	Replication map[string]int `json:"replication,omitempty"`
	// Username is the role. It is set together with PasswordFile or not at all.
	Username string `json:"username,omitempty"`
	// PasswordFile is a file with the password of the role. A line break at its end does
	// not belong to the password.
	PasswordFile string `json:"password_file,omitempty"`
	// TLS says how connections are encrypted.
	TLS TLS `json:"tls"`
	// RequestTimeout is how long one request may take with all its attempts, 5s to 5m.
	RequestTimeout Duration `json:"request_timeout"`
	// ConnectTimeout is how long a start waits for the database. 0 waits for ever.
	ConnectTimeout Duration `json:"connect_timeout,omitempty"`
	// Schema is SchemaApply, which makes the keyspace and the tables that are missing, or
	// SchemaVerify, which refuses to start when something is missing, for a role without
	// rights on the schema.
	Schema string `json:"schema"`
	// Folder is where names of files start that are not absolute. Empty means the working
	// directory.
	Folder string `json:"-"`
}

// TLS says how connections are encrypted. The certificate of the server is always verified.
type TLS struct {
	// Enabled turns encryption on.
	Enabled bool `json:"enabled"`
	// CAFile is a file with the certificates of the authorities that are accepted, in PEM format.
	// Empty means those of the operating system.
	CAFile string `json:"ca_file,omitempty"`
	// CertFile is a file with the program's own certificate, in PEM format. It is set together with
	// KeyFile or not at all.
	CertFile string `json:"cert_file,omitempty"`
	// KeyFile is a file with the key of that certificate, in PEM format.
	KeyFile string `json:"key_file,omitempty"`
	// ServerName is the name that the certificates of the servers must carry. Empty means
	// the name or address that is dialled.
	ServerName string `json:"server_name,omitempty"`
}

// Duration is a time.Duration that is written as in "10s".
type Duration time.Duration

// MarshalText writes it as time.Duration.String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = Duration(parsed)
	return nil
}

// Default returns the configuration of a database on this machine, with the name of a
// keyspace.
func Default(keyspace string) Config {
	return Config{
		Hosts: []string{"127.0.0.1"}, Port: 9042, Keyspace: keyspace,
		RequestTimeout: Duration(10 * time.Second), Schema: SchemaApply,
	}
}

// session says how to reach the database. It reads the file of the password.
func (c Config) session() (scylla.Config, error) {
	out := scylla.Config{
		Section: section,
		Hosts:   c.Hosts, Port: c.Port, Keyspace: c.Keyspace, CreateKeyspace: c.Schema == SchemaApply,
		LocalDC: c.LocalDC, Replication: c.Replication, Username: c.Username,
		RequestTimeout: time.Duration(c.RequestTimeout), ConnectTimeout: time.Duration(c.ConnectTimeout),
	}
	if c.PasswordFile != "" {
		password, err := os.ReadFile(c.resolve(c.PasswordFile))
		if err != nil {
			return scylla.Config{}, fmt.Errorf(section+".password_file: %w", err)
		}
		out.Password = strings.TrimSuffix(strings.TrimSuffix(string(password), "\n"), "\r")
		if out.Password == "" {
			return scylla.Config{}, errors.New(section + ".password_file: the file is empty")
		}
	}
	if c.TLS.Enabled {
		out.TLS = &scylla.TLS{
			CAFile: c.resolve(c.TLS.CAFile), CertFile: c.resolve(c.TLS.CertFile), KeyFile: c.resolve(c.TLS.KeyFile),
			ServerName: c.TLS.ServerName,
		}
	}
	return out, nil
}

// resolve returns the name of a file as seen from the working directory. An empty name
// stays empty.
func (c Config) resolve(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(c.Folder, file)
}
