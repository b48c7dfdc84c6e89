package config

import (
	"fmt"
	"net"
	"regexp"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/settings"
)

const (
	// maxShutdownDelay bounds ShutdownDelay.
	maxShutdownDelay = 5 * time.Minute
	// minGrace is the shortest Close.Grace: clocks differ by less.
	minGrace = 10 * time.Minute
	// maxGrace keeps a day from being closed a week late.
	maxGrace    = 7 * 24 * time.Hour
	maxParallel = 1024
)

// Validate returns all that is wrong with a configuration, as settings.Problems, or nil. It looks
// into no file.
func (c Config) Validate() error { return c.validate().Err() }

func (c Config) validate() settings.Problems {
	var p settings.Problems
	c.checkPlace(&p)
	p.AddAll(c.Database.Validate())
	c.checkEvents(&p)
	c.checkClaims(&p)
	c.checkClose(&p)
	c.checkPlans(&p)
	c.checkGateway(&p)
	c.checkInvoices(&p)
	c.checkRails(&p)
	return p
}

// checkPlace checks where it listens, and who may ask.
func (c Config) checkPlace(p *settings.Problems) {
	settings.CheckAddress(p, "listen", c.Listen, "127.0.0.1:9100")
	settings.CheckOperators(p, "metrics_listen", c.MetricsListen, "127.0.0.1:9101")
	if d := time.Duration(c.ShutdownDelay); d < 0 || d > maxShutdownDelay {
		p.Add("shutdown_delay", "%s cannot be used: use 0s to %s", d, maxShutdownDelay)
	}
	settings.CheckPair(p, "tls.", c.TLS.CertFile, c.TLS.KeyFile)
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && !settings.IsLoopback(host) && c.TLS == (TLS{}) && !c.PlainHTTP {
		p.Add("tls.cert_file", "is empty, and the token of the gateway would come to %s without encryption: set it and tls.key_file, or listen on 127.0.0.1, "+
			"or set plain_http to true if nobody else is in that network", c.Listen)
	}
	if c.TLS != (TLS{}) && c.PlainHTTP {
		p.Add("plain_http", "is true, and tls.cert_file is set: keep one of them")
	}
	if c.TokenFile == "" {
		p.Add("token_file", "is empty, so that nobody could ask: name a file with the token of the gateway")
	}
	if c.OperatorTokenFile != "" && c.OperatorTokenFile == c.TokenFile {
		p.Add("operator_token_file", "is the file of token_file: the gateway asks for owners, operators see all of them; name another")
	}
}

func (c Config) checkEvents(p *settings.Problems) {
	if len(c.Events.URLs) == 0 {
		p.Add("events.urls", "is empty: name at least one NATS server, as nats://127.0.0.1:4222")
	}
	for i, text := range c.Events.URLs {
		settings.CheckURL(p, fmt.Sprintf("events.urls[%d]", i), text, "nats", "tls")
	}
	settings.CheckPair(p, "events.", c.Events.CertFile, c.Events.KeyFile)
	if c.Events.Cluster == "" {
		p.Add("events.cluster", "is empty: name the cluster whose claims they are")
	}
	if c.Events.CredentialsFile != "" && c.Events.NKeyFile != "" {
		p.Add("events.nkey_file", "is set beside events.credentials_file: keep one of them")
	}
	if c.Events.Prefix != "" && !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`).MatchString(c.Events.Prefix) {
		p.Add("events.prefix", "%.100q cannot be used: use at most 32 lower-case letters, digits, dashes and underscores", c.Events.Prefix)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(c.Events.Consumer) {
		p.Add("events.consumer", "%.100q cannot be used: use at most 64 letters, digits, dashes and underscores", c.Events.Consumer)
	}
}

func (c Config) checkClaims(p *settings.Problems) {
	switch since := c.Claims.Since; {
	case since.IsZero():
		p.Add("claims.since", "is missing: say since when is billed, as 2026-12-01T00:00:00Z")
	case since.UnixMilli()%usage.DayMS != 0 || since.Nanosecond() != 0:
		p.Add("claims.since", "%s is within a day: use midnight in UTC", since.Format(time.RFC3339Nano))
	case since.Year() < 1970 || since.Year() > 9999:
		p.Add("claims.since", "is before 1970 or after 9999: correct it")
	}
	if s := c.Claims.Start; s != claim.StartAccepted && s != claim.StartPinned {
		p.Add("claims.start", "%.100q is unknown: use %q or %q", s, claim.StartAccepted, claim.StartPinned)
	}
	if r := c.Claims.Replicas; r != claim.ReplicasRequested && r != claim.ReplicasSingle {
		p.Add("claims.replicas", "%.100q is unknown: use %q or %q", r, claim.ReplicasRequested, claim.ReplicasSingle)
	}
	for _, n := range []struct {
		field string
		n     int
	}{{"claims.default_replicas", c.Claims.DefaultReplicas}, {"claims.all_replicas", c.Claims.AllReplicas}} {
		if n.n < 1 {
			p.Add(n.field, "%d counts no copy: use 1 or more", n.n)
		}
	}
	if c.Claims.MaxSize < 0 {
		p.Add("claims.max_size", "%d is negative: use a number of bytes, or 0 for any", c.Claims.MaxSize)
	}
	if c.Claims.Window < 0 {
		p.Add("claims.window", "%s is negative: use 0s for any age, or more", time.Duration(c.Claims.Window))
	}
}

func (c Config) checkClose(p *settings.Problems) {
	if g := time.Duration(c.Close.Grace); g < minGrace || g > maxGrace {
		p.Add("close.grace", "%s cannot be used: use %s to %s", g, minGrace, maxGrace)
	}
	claims, days := time.Duration(c.Claims.Window), time.Duration(c.Close.Window)
	switch {
	case days < 0:
		p.Add("close.window", "%s is negative: use 0s for ever, or more", days)
	case days > 0 && (claims == 0 || days <= claims):
		p.Add("close.window", "%s is not longer than claims.window, so that what is taken would correct nothing: use more than %s, or 0s", days, claims)
	}
	if e := time.Duration(c.Close.Every); e < time.Second || e > 24*time.Hour {
		p.Add("close.every", "%s cannot be used: use 1s to 24h", e)
	}
	if c.Close.Parallel < 1 || c.Close.Parallel > maxParallel {
		p.Add("close.parallel", "%d cannot be used: use 1 to %d", c.Close.Parallel, maxParallel)
	}
}

func (c Config) checkPlans(p *settings.Problems) {
	if c.Plans.Folder == "" && c.Plans.Default != "" {
		p.Add("plans.folder", "is empty but plans.default is set: name the folder with the plan")
	}
}

func (c Config) checkGateway(p *settings.Problems) {
	g := c.Gateway
	if e := time.Duration(g.Every); e < time.Hour {
		p.Add("gateway.every", "%s cannot be used: use 1h or more", e)
	}
	if g.URL != "" {
		u := settings.CheckURL(p, "gateway.url", g.URL, "https", "http")
		switch {
		case u == nil:
		case u.Path != "":
			p.Add("gateway.url", "%s goes on after the host: remove what follows, and a slash at the end, too", u)
		case u.Scheme == "http" && !settings.IsLoopback(u.Hostname()) && !c.PlainHTTP:
			p.Add("gateway.url", "%s is not encrypted: use https://, or set plain_http to true if nobody else is in that network", u)
		case u.Scheme == "http" && g.CAFile != "":
			p.Add("gateway.ca_file", "is set, and %s is not https://: use https://, or remove it", u)
		}
		if g.TokenFile == "" {
			p.Add("gateway.token_file", "is empty but gateway.url is set: name a file with an API key of an operator")
		}
	} else if g.TokenFile != "" {
		p.Add("gateway.url", "is empty but gateway.token_file is set: set both, or none")
	}
}
