package scyllastate

import (
	"reflect"
	"strings"
	"testing"
)

// TestConfigEnvUnknown: a variable that sets nothing is refused, with the one
// that was probably meant.
func TestConfigEnvUnknown(t *testing.T) {
	const (
		none  = "there is no such setting; "
		pages = none + "docs/configuration.md lists them all"
	)
	mean := func(names ...string) string {
		return none + "did you mean CLUSTER_SCYLLA_" + strings.Join(names, " or CLUSTER_SCYLLA_") + "?"
	}
	for _, tc := range []struct {
		name string // after the prefix
		want string
	}{
		{"HOST", mean("HOSTS")},
		{"hosts", pages}, // the names of variables differ in case
		{"LOCAL_DC", mean("LOCALDC")},
		{"TLS_CA_FILE", mean("TLS_CAFILE")},
		{"CONNECT_TIMEOUT", mean("CONNECTTIMEOUT")},
		{"DISABLE_SHARD_AWARE_PORT", mean("DISABLESHARDAWAREPORT")},
		{"PASSWROD", mean("PASSWORD")},
		{"USER", mean("USERNAME")},
		{"KEYSPACE_", mean("KEYSPACE")},
		{"TLS", mean("TLS_CAFILE", "TLS_CERTFILE", "TLS_ENABLED", "TLS_KEYFILE", "TLS_SERVERNAME")},
		{"CONTACTPOINTS", pages},
		{"SERVICE_HOST", pages}, // of Kubernetes
		{"DC", pages},
		{"", pages},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clearEnv(t)
			t.Setenv("CLUSTER_SCYLLA_"+tc.name, "") // being empty is no excuse
			t.Setenv("CLUSTER_SCYLLA_KEYSPACE", "other")
			cfg := loaded(t, fullConfig)
			err := cfg.ApplyEnvVars()
			if want := "environment variable CLUSTER_SCYLLA_" + tc.name + ": " + tc.want; err == nil || err.Error() != want {
				t.Errorf("\n got %v\nwant %s", err, want)
			}
			if want := loaded(t, fullConfig); !reflect.DeepEqual(cfg, want) {
				t.Error("was refused but changed the configuration")
			}
		})
	}

	clearEnv(t)
	t.Setenv("CLUSTER_SCYLLA_PORTS", "1")
	t.Setenv("CLUSTER_SCYLLA_PORT", "cql") // also wrong; the names come first
	t.Setenv("CLUSTER_SCYLLA_COLOUR", "red")
	t.Setenv("CLUSTER_SCYLLAS", "not of ours")
	const want = "environment variable CLUSTER_SCYLLA_COLOUR: " + pages +
		"; environment variable CLUSTER_SCYLLA_PORTS: " + none + "did you mean CLUSTER_SCYLLA_PORT?"
	if err := loaded(t, fullConfig).ApplyEnvVars(); err == nil || err.Error() != want {
		t.Errorf("two unknown ones:\n got %v\nwant %s", err, want)
	}
}
