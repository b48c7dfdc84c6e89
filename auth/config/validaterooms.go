package config

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/session"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/settings"
)

func (c Config) checkLogins(p *Problems) {
	if len(c.Issuers)+len(c.APIKeys.Peppers) == 0 && !c.DID.Enabled && !c.SIWE.Enabled {
		p.Add("issuers", "is empty, and there is nothing else by which anybody could come: set issuers, api_keys, did or siwe")
	}
	for _, login := range []struct {
		field   string
		enabled bool
	}{{"did.enabled", c.DID.Enabled}, {"siwe.enabled", c.SIWE.Enabled}} {
		if login.enabled && len(c.Sessions.Keys) == 0 {
			p.Add("sessions.keys", "is empty but %s is true: name a file with a key", login.field)
		}
	}
	for i, issuer := range c.Issuers {
		if issuer.LoginClient != "" && len(c.Sessions.Keys) == 0 {
			p.Add("sessions.keys", "is empty but issuers[%d].login_client is set: name a file with a key", i)
		}
	}
	if c.SIWE.Enabled && len(c.SIWE.Chains) == 0 {
		p.Add("siwe.chains", "is empty: name at least one chain, as 1 for Ethereum's main one")
	}
	if i := slices.Index(c.SIWE.Chains, 0); i >= 0 {
		p.AddAt("siwe.chains", i, "is 0, which is no chain: remove it")
	}
	if d := time.Duration(c.Sessions.Lifetime); d < time.Second || d > session.MaxLifetime {
		p.Add("sessions.lifetime", "%s cannot be used: use 1s to %s", d, session.MaxLifetime)
	}
	seen := make(map[string]bool)
	for i, key := range c.Sessions.Keys {
		switch {
		case key.ID == "":
			p.AddAt("sessions.keys", i, "has no id: give it a name")
		case seen[key.ID]:
			p.AddAt("sessions.keys", i, "has the id %.100q of another: give it one of its own", key.ID)
		}
		seen[key.ID] = true
		if key.File == "" {
			p.AddAt("sessions.keys", i, "has no file: name the file with the key")
		}
		if !key.Until.IsZero() && !key.Until.After(key.From) {
			p.AddAt("sessions.keys", i, "ends before it begins: correct from or until")
		}
	}
}

func (c Config) checkPolicies(p *Problems) {
	if c.Policies.WithoutRoles && c.Policies.Folder == "" {
		p.Add("policies.without_roles", "is true and policies.folder is empty, so that nobody may do anything: set it to false, or name a folder")
	}
	if d := time.Duration(c.Policies.ReloadEvery); d < time.Second {
		p.Add("policies.reload_every", "%s cannot be used: use 1s or more", d)
	}
}

// maxRetention is the longest time to live that both engines take: 20 years of 365 days.
const maxRetention = 20 * 365 * 24 * time.Hour

func (c Config) checkAudit(p *Problems) {
	if c.Audit.Folder == "" && !c.Audit.Table {
		p.Add("audit.folder", "is empty and audit.table is false, so that nothing is recorded: set one of them")
	}
	if c.Audit.KeyFile == "" {
		p.Add("audit.key_file", "is empty: name a file with a key, which signs checkpoints of the records")
	}
	if d := time.Duration(c.Audit.TableRetention); d < 0 || d > maxRetention || d%time.Second != 0 {
		p.Add("audit.table_retention", "%s cannot be used: use whole seconds up to %s, or 0s to keep records for ever", d, maxRetention)
	}
	if c.Audit.Writer != "" && !isWriter(c.Audit.Writer) {
		p.Add("audit.writer", "%.100q cannot be used: use at most 64 lower-case letters, digits and dashes", c.Audit.Writer)
	}
}

func (c Config) checkLimits(p *Problems) {
	if c.Limits.MaxAddBytes < 1 {
		p.Add("limits.max_add_bytes", "%d lets nothing through: use 1 or more", c.Limits.MaxAddBytes)
	}
	for _, limit := range []struct {
		field string
		rate  Rate
	}{{"principal", c.Limits.Principal}, {"tenant", c.Limits.Tenant}, {"failures", c.Limits.Failures}} {
		inRange := limit.rate.PerSecond == 0 || limit.rate.PerSecond >= 1e-6 && limit.rate.PerSecond <= 1e6 // not so for NaN
		switch {
		case !inRange:
			p.Add("limits."+limit.field+".per_second", "%v cannot be used: use 0.000001 to 1000000, or 0 for no limit", limit.rate.PerSecond)
		case limit.rate.PerSecond > 0 && limit.rate.Burst < 1:
			p.Add("limits."+limit.field+".burst", "%d lets nothing through: use 1 or more", limit.rate.Burst)
		}
	}
}

func (c Config) checkEvents(p *Problems) {
	for i, text := range c.Events.URLs {
		settings.CheckURL(p, fmt.Sprintf("events.urls[%d]", i), text, "nats", "tls")
	}
	settings.CheckPair(p, "events.", c.Events.CertFile, c.Events.KeyFile)
	if len(c.Events.URLs) > 0 && c.Events.Cluster == "" {
		p.Add("events.cluster", "is empty: name the cluster whose events they are")
	}
	if c.Events.CredentialsFile != "" && c.Events.NKeyFile != "" {
		p.Add("events.nkey_file", "is set beside events.credentials_file: keep one of them")
	}
	if c.Events.Prefix != "" && !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`).MatchString(c.Events.Prefix) {
		p.Add("events.prefix", "%.100q cannot be used: use at most 32 lower-case letters, digits, dashes and underscores", c.Events.Prefix)
	}
}
