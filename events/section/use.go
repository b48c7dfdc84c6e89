package section

import (
	"path/filepath"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/embedded"
)

// folderName is that of the folder in which an embedded server has its data.
const folderName = "events"

// BusConfig says how a peer connects to NATS. clusterName is that of the cluster, to
// which the streams belong, and peerName is shown among the connections of the servers. With
// an embedded server the caller sets URLs to that of the server, once it has started.
func (cfg *Config) BusConfig(clusterName, peerName string) bus.Config {
	out := bus.Config{
		URLs:            cfg.URLs,
		Name:            "ipfs-cluster peer " + peerName,
		Cluster:         clusterName,
		CredentialsFile: cfg.resolve(cfg.CredentialsFile),
		NKeyFile:        cfg.resolve(cfg.NKeyFile),
		Prefix:          cfg.Prefix,
		Replicas:        cfg.Replicas,
		MaxAge:          cfg.MaxAge,
		MaxBytes:        cfg.MaxBytes,
		MonitorURLs:     cfg.MonitorURLs,
	}
	if cfg.TLS.Enabled {
		out.TLS = bus.TLS{
			Enabled:  true,
			CAFile:   cfg.resolve(cfg.TLS.CAFile),
			CertFile: cfg.resolve(cfg.TLS.CertFile),
			KeyFile:  cfg.resolve(cfg.TLS.KeyFile),
		}
	}
	if cfg.Embedded.Enabled {
		out.Replicas = 1
	}
	return out
}

// EmbeddedConfig is that of the server in the process, which has its data in a folder of its
// own in that of the peer. It is for a Config with Embedded.Enabled.
func (cfg *Config) EmbeddedConfig(peerFolder string) embedded.Config {
	maxBytes := cfg.Embedded.MaxBytes
	if maxBytes == 0 {
		maxBytes = streams * cfg.MaxBytes
	}
	return embedded.Config{Folder: filepath.Join(peerFolder, folderName), Listen: cfg.Embedded.Listen, MaxBytes: maxBytes}
}
