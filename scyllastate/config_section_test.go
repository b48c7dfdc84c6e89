package scyllastate

import (
	"strings"
	"testing"
)

// TestSection is a file with the section and one without it, and an environment
// that sets a field and has an unknown variable.
func TestSection(t *testing.T) {
	clearEnv(t)
	t.Setenv("CLUSTER_SCYLLA_KEYSPACE", "other")
	load := func(section func(*Section) error) (*Config, error) {
		s := &Section{Config: &Config{}}
		if err := section(s); err != nil {
			t.Fatal(err)
		}
		return s.Config, s.ApplyEnvVars()
	}
	// What the configuration manager calls.
	with := func(s *Section) error { return s.LoadJSON([]byte(`{}`)) }
	without := func(s *Section) error { return s.Default() }
	if cfg, err := load(with); err != nil || cfg.Keyspace != "other" {
		t.Errorf("with the section: keyspace %q, %v", cfg.Keyspace, err)
	}
	t.Setenv("CLUSTER_SCYLLA_HOST", "db1")
	if cfg, err := load(without); err != nil || cfg.Keyspace != DefaultKeyspace {
		t.Errorf("without the section: keyspace %q, %v", cfg.Keyspace, err)
	}
	if _, err := load(with); err == nil || !strings.Contains(err.Error(), "CLUSTER_SCYLLA_HOST: there is no such setting") {
		t.Errorf("with the section and an unknown variable: %v", err)
	}
}
