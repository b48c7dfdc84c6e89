package scyllastate

import (
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/config"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/servicejson"
)

// configJSON is Config as it is written in service.json. The Go names of the
// fields give the names of the environment variables. Fields with the tag
// `hidden:"true"` are never displayed.
type configJSON struct {
	Hosts                 []string       `json:"hosts"`
	Port                  int            `json:"port"`
	Keyspace              string         `json:"keyspace"`
	ClusterName           string         `json:"cluster_name"`
	LocalDC               string         `json:"local_dc"`
	Replication           map[string]int `json:"replication"`
	Username              string         `json:"username,omitempty"`
	Password              string         `json:"password,omitempty" hidden:"true"`
	TLS                   tlsJSON        `json:"tls"`
	Consistency           string         `json:"consistency"`
	Schema                string         `json:"schema"`
	Compression           string         `json:"compression"`
	DisableShardAwarePort bool           `json:"disable_shard_aware_port"`
	ConnectTimeout        string         `json:"connect_timeout"`
	RequestTimeout        string         `json:"request_timeout"`
	UnpinGrace            string         `json:"unpin_grace"`
	CheckEvery            string         `json:"check_every"`
	StopShare             float64        `json:"stop_share"`
	Zone                  string         `json:"zone"`
	TrustedPeers          []string       `json:"trusted_peers"`
}

type tlsJSON struct {
	Enabled    bool   `json:"enabled"`
	CAFile     string `json:"ca_file,omitempty"`
	CertFile   string `json:"cert_file,omitempty"`
	KeyFile    string `json:"key_file,omitempty"`
	ServerName string `json:"server_name,omitempty"`
}

// LoadJSON sets cfg to the defaults overridden by the fields of raw, and
// validates it. Unknown fields are errors. cfg is unchanged when LoadJSON
// fails.
func (cfg *Config) LoadJSON(raw []byte) error {
	defaults := defaultSettings()
	jcfg := defaults.toJSON()
	if err := jsonSection().Decode(raw, jcfg); err != nil {
		return err
	}
	settings, err := jcfg.parse()
	if err != nil {
		return err
	}
	if err := settings.Validate(); err != nil {
		return err
	}
	cfg.set(settings)
	return nil
}

// ToJSON returns cfg as it is written in service.json, password included.
func (cfg *Config) ToJSON() ([]byte, error) {
	return config.DefaultJSONMarshal(cfg.toJSON())
}

// ToDisplayJSON returns the configuration as JSON that can be shown: secrets
// are masked, also where none is set.
func (cfg *Config) ToDisplayJSON() ([]byte, error) {
	return servicejson.Display(cfg.toJSON())
}

func (cfg *Config) toJSON() *configJSON {
	trusted := api.PeersToStrings(cfg.TrustedPeers)
	if cfg.TrustAll {
		trusted = []string{"*"}
	}
	return &configJSON{
		Hosts:                 append([]string{}, cfg.Hosts...),
		Port:                  cfg.Port,
		Keyspace:              cfg.Keyspace,
		ClusterName:           cfg.ClusterName,
		LocalDC:               cfg.LocalDC,
		Replication:           copyReplication(cfg.Replication),
		Username:              cfg.Username,
		Password:              cfg.Password,
		TLS:                   tlsJSON(cfg.TLS),
		Consistency:           cfg.Consistency,
		Schema:                cfg.Schema,
		Compression:           cfg.Compression,
		DisableShardAwarePort: cfg.DisableShardAwarePort,
		ConnectTimeout:        cfg.ConnectTimeout.String(),
		RequestTimeout:        cfg.RequestTimeout.String(),
		UnpinGrace:            cfg.UnpinGrace.String(),
		CheckEvery:            cfg.CheckEvery.String(),
		StopShare:             cfg.StopShare,
		Zone:                  cfg.Zone,
		TrustedPeers:          trusted,
	}
}

// parse turns the written form into a Config that is not yet validated.
func (jcfg *configJSON) parse() (Config, error) {
	cfg := Config{
		Hosts:                 make([]string, 0, len(jcfg.Hosts)),
		Port:                  jcfg.Port,
		Keyspace:              jcfg.Keyspace,
		ClusterName:           jcfg.ClusterName,
		LocalDC:               jcfg.LocalDC,
		Replication:           copyReplication(jcfg.Replication),
		Username:              jcfg.Username,
		Password:              jcfg.Password,
		TLS:                   TLSConfig(jcfg.TLS),
		Consistency:           jcfg.Consistency,
		Schema:                jcfg.Schema,
		Compression:           jcfg.Compression,
		DisableShardAwarePort: jcfg.DisableShardAwarePort,
		StopShare:             jcfg.StopShare,
		Zone:                  jcfg.Zone,
	}
	for _, host := range jcfg.Hosts {
		// A list in an environment variable may have spaces after commas.
		cfg.Hosts = append(cfg.Hosts, strings.TrimSpace(host))
	}
	for _, d := range []struct {
		field string
		text  string
		dst   *time.Duration
	}{
		{"connect_timeout", jcfg.ConnectTimeout, &cfg.ConnectTimeout},
		{"request_timeout", jcfg.RequestTimeout, &cfg.RequestTimeout},
		{"unpin_grace", jcfg.UnpinGrace, &cfg.UnpinGrace},
		{"check_every", jcfg.CheckEvery, &cfg.CheckEvery},
	} {
		var err error
		if *d.dst, err = time.ParseDuration(d.text); err != nil {
			return Config{}, badField(d.field, "%q is not a duration: write a number and a unit, as in 500ms, 10s or 24h", d.text)
		}
	}
	var err error
	cfg.TrustAll, cfg.TrustedPeers, err = parseTrusted(jcfg.TrustedPeers)
	if err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// parseTrusted reads the list of trusted peers, in which "*" means all.
func parseTrusted(texts []string) (all bool, peers []peer.ID, err error) {
	peers = make([]peer.ID, 0, len(texts))
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if text == "*" {
			all = true
			continue
		}
		id, err := peer.Decode(text)
		if err != nil {
			return false, nil, badField("trusted_peers", "%q is not a peer ID: write IDs such as 12D3KooW…, or \"*\" to trust all peers", text)
		}
		// peer.Decode takes any CID of a key, but only what can be written
		// back as a peer ID survives saving.
		if again, err := peer.Decode(id.String()); err != nil || again != id {
			return false, nil, badField("trusted_peers", "%q is not a peer ID in a usable encoding: write it as 12D3KooW… or Qm…", text)
		}
		peers = append(peers, id)
	}
	if all {
		return true, []peer.ID{}, nil
	}
	return false, peers, nil
}

func copyReplication(m map[string]int) map[string]int {
	out := make(map[string]int, len(m))
	for dc, n := range m {
		out[dc] = n
	}
	return out
}
