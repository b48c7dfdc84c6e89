package scyllastate

import "github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"

// session says how to reach the cluster, and whether the keyspace may be made.
func (cfg *Config) session(create bool) scylla.Config {
	out := scylla.Config{
		Section:               "state." + configKey,
		Hosts:                 cfg.Hosts,
		Port:                  cfg.Port,
		Keyspace:              cfg.Keyspace,
		CreateKeyspace:        create && cfg.Schema == SchemaApply,
		LocalDC:               cfg.LocalDC,
		Replication:           cfg.Replication,
		Username:              cfg.Username,
		Password:              cfg.Password,
		Compress:              cfg.Compression == CompressionSnappy,
		DisableShardAwarePort: cfg.DisableShardAwarePort,
		RequestTimeout:        cfg.RequestTimeout,
		ConnectTimeout:        cfg.ConnectTimeout,
		Waiting:               cfg.Waiting,
		Metrics:               cfg.Metrics.client(),
		SlowQuery:             cfg.SlowQuery,
		Trace:                 cfg.Trace,
	}
	if cfg.TLS.Enabled {
		out.TLS = &scylla.TLS{
			CAFile:     cfg.resolve(cfg.TLS.CAFile),
			CertFile:   cfg.resolve(cfg.TLS.CertFile),
			KeyFile:    cfg.resolve(cfg.TLS.KeyFile),
			ServerName: cfg.TLS.ServerName,
		}
	}
	return out
}
