package compose

import (
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/config"
)

const (
	billingScript = "deploy/billing-entrypoint.sh"
	billingConfig = "deploy/pin-billing.json"
)

// parseBilling reads the configuration as the billing service of s does.
func parseBilling(text string, s service) (config.Config, error) {
	var environ []string
	for name := range s.Environment {
		environ = append(environ, name+"="+s.env(name))
	}
	return config.Parse([]byte(text), "/etc", environ)
}

func checkBilling(p project, s service, w want, complain func(string, ...any)) {
	if s.Build == nil || s.Build.Dockerfile != "Dockerfile" {
		complain("is not built from the Dockerfile of this repository")
	}
	if !slices.Equal(s.Entrypoint, []string{w.image.copies[billingScript]}) || !slices.Equal(s.Command, []string{"serve"}) || s.User != "" {
		complain("does not run %s as the user of the image: %q %q", billingScript, s.Entrypoint, s.Command)
	}
	checkData(s, w.image.env["BILLING_PATH"], complain)
	c, err := parseBilling(w.billing, s)
	if err != nil {
		complain("%s: %v", billingConfig, err)
		return
	}
	for _, file := range []string{c.TokenFile, c.OperatorTokenFile} {
		if path.Dir(file) != w.image.env["BILLING_PATH"]+"/secrets" {
			complain("its token %s is not in %s/secrets", file, w.image.env["BILLING_PATH"])
		}
	}
	host, text, err := net.SplitHostPort(c.Listen)
	if port, convErr := strconv.Atoi(text); err != nil || convErr != nil || host != "0.0.0.0" || port == 0 || len(s.Ports) != 0 {
		complain("listens on %s, which the gateway does not reach, or is published: %v", c.Listen, s.Ports)
	}
	if h := s.Healthcheck; h != nil && len(h.Test) > 0 && h.Test[len(h.Test)-1] != "http://127.0.0.1:"+text+"/health" {
		complain("health check %q does not ask where it listens", h.Test)
	}
	for _, host := range c.Database.Hosts {
		if !strings.HasPrefix(host, "scylla") {
			complain("its database is %q, which is no ScyllaDB", host)
		}
		checkNeeds(p, s, host, complain)
	}
	for _, url := range c.Events.URLs {
		if url != "nats://nats:4222" {
			complain("reads events at %s, which is not the server here", url)
		}
	}
	g, err := parseGateway(w.gateway, p.Services["gateway"])
	if err != nil {
		return // complained about already
	}
	if g.Events.Cluster != c.Events.Cluster || g.Events.Prefix != c.Events.Prefix {
		complain("reads the claims of %q, and the gateway tells those of %q", c.Events.Cluster, g.Events.Cluster)
	}
}

// TestBillingRulesCanFail plants mistakes.
func TestBillingRulesCanFail(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{"0.0.0.0:9100", "127.0.0.1:9100", "which the gateway does not reach"},
		{"/data/pin-billing/secrets/gateway-token", "gateway-token", "is not in /data/pin-billing/secrets"},
		{`["scylla"]`, `["db"]`, "which is no ScyllaDB"},
		{"nats://nats:4222", "nats://other:4222", "which is not the server here"},
		{`"cluster": "ipfs-cluster"`, `"cluster": "other"`, `reads the claims of "other"`},
		{"2026-12-01T00:00:00Z", "2026-12-01T01:00:00Z", "is within a day"},
	} {
		w := wanted(t)
		text := strings.ReplaceAll(w.billing, test.old, test.new)
		if text == w.billing {
			t.Errorf("%s has no %q to plant a mistake in", billingConfig, test.old)
		}
		w.billing = text
		if problems := check(mustLoad(t), w); !strings.Contains(strings.Join(problems, "\n"), test.want) {
			t.Errorf("%q instead of %q: %q", test.new, test.old, problems)
		}
	}
}

// checkNATS checks that claims are kept when the server starts again.
func checkNATS(s service, complain func(string, ...any)) {
	if !slices.Contains(s.Command, "--jetstream") || !slices.Contains(s.Command, "--store_dir=/data") {
		complain("keeps no claims: %q", s.Command)
	}
	checkData(s, "/data", complain)
	if len(s.Ports) != 0 {
		complain("is published: %v", s.Ports)
	}
}
