package compose

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/promtest"
)

// monitoring are the services of the profile of that name.
var monitoring = []string{"prometheus", "alertmanager", "grafana"}

// prometheusConfig is the configuration of Prometheus, in the checkout.
const prometheusConfig = "deploy/prometheus.yml"

// watcher is what a service of the profile must be like.
type watcher struct {
	image   string // without what follows the version that tests run
	command []string
	health  string
	data    string
	configs map[string]string // by file of deploy
	reads   map[string]string // by folder of monitoring
}

func watchers() map[string]watcher {
	return map[string]watcher{
		"prometheus": {
			image: "prom/prometheus:v2.42.", health: "http://127.0.0.1:9090/-/ready", data: "/prometheus",
			command: []string{"--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"},
			configs: map[string]string{"prometheus.yml": "/etc/prometheus/prometheus.yml"},
			reads:   map[string]string{"rules": "/etc/prometheus/rules"},
		},
		"alertmanager": {
			image: "prom/alertmanager:v0.25.", health: "http://127.0.0.1:9093/-/ready", data: "/alertmanager",
			command: []string{"--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager", "--cluster.listen-address="},
			reads:   map[string]string{"alertmanager": "/etc/alertmanager"},
		},
		"grafana": {
			image: "grafana/grafana:", health: "http://127.0.0.1:3000/api/health", data: "/var/lib/grafana",
			configs: map[string]string{
				"grafana-datasource.yml": "/etc/grafana/provisioning/datasources/ipfs-cluster.yml",
				"grafana-dashboards.yml": "/etc/grafana/provisioning/dashboards/ipfs-cluster.yml",
			},
			reads: map[string]string{"dashboards/json": "/etc/ipfs-cluster/dashboards"},
		},
	}
}

func checkMonitoring(p project, name string, s service, complain func(string, ...any)) {
	w := watchers()[name]
	if !strings.HasPrefix(s.Image, w.image) {
		complain("image %s, the tests run %s", s.Image, strings.TrimSuffix(strings.Replace(w.image[strings.Index(w.image, ":")+1:], "v", "", 1), "."))
	}
	if s.Entrypoint != nil || !slices.Equal(s.Command, w.command) {
		complain("runs %q %q, not %q", s.Entrypoint, s.Command, w.command)
	}
	checkData(s, w.data, complain)
	if h := s.Healthcheck; h != nil && len(h.Test) > 0 && h.Test[len(h.Test)-1] != w.health {
		complain("health check %q does not ask %s", h.Test, w.health)
	}
	configs := make(map[string]string)
	for _, c := range s.Configs {
		configs[path.Base(p.Configs[c.Source].File)] = c.Target
	}
	for file, target := range w.configs {
		if configs[file] != target {
			complain("has not deploy/%s at %s: %v", file, target, configs)
		}
	}
	for folder, target := range w.reads {
		if !slices.ContainsFunc(s.Volumes, func(m mount) bool {
			return m.Target == target && strings.HasSuffix(m.Source, "/monitoring/"+folder)
		}) {
			complain("does not read monitoring/%s at %s", folder, target)
		}
	}
	// Who reaches Grafana may look and nothing else.
	if name == "grafana" && (s.env("GF_AUTH_ANONYMOUS_ORG_ROLE") != "Viewer" || s.env("GF_AUTH_DISABLE_LOGIN_FORM") != "true" || s.env("GF_AUTH_BASIC_ENABLED") != "false") {
		complain("lets people log in with a password that everybody knows")
	}
}

// isOfMonitoring tells a folder of monitoring that there is.
func isOfMonitoring(source string) bool {
	_, folder, ok := strings.Cut(source, "/monitoring/")
	if !ok {
		return false
	}
	info, err := os.Stat(filepath.Join(root, "monitoring", folder))
	return err == nil && info.IsDir()
}

// TestPrometheusConfig shows that Prometheus takes its configuration, and that
// rules, targets and services go together.
func TestPrometheusConfig(t *testing.T) {
	var config struct {
		Rules   []string `yaml:"rule_files"`
		Scrapes []struct {
			Job string `yaml:"job_name"`
			DNS []struct {
				Names []string
				Port  int
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, prometheusConfig)), &config); err != nil {
		t.Fatal(err)
	}
	services := mustLoad(t).Services
	jobs := make(map[string]int)
	for _, scrape := range config.Scrapes {
		for _, dns := range scrape.DNS {
			for _, name := range dns.Names {
				if _, ok := services[name]; !ok {
					t.Errorf("%s scrapes %s, which is no service", prometheusConfig, name)
				}
			}
			jobs[scrape.Job] = dns.Port
		}
	}
	for _, job := range []string{"ipfs-cluster", "pin-gateway", "scylla"} {
		if jobs[job] == 0 {
			t.Errorf("%s has no job %s, which rules know", prometheusConfig, job)
		}
	}
	for _, peer := range []string{"cluster", "cluster1"} {
		listen := services[peer].env("CLUSTER_ADMIN_LISTEN")
		if _, port := hostPort("http://" + listen); port != strconv.Itoa(jobs["ipfs-cluster"]) {
			t.Errorf("%s tells metrics at %q, and is asked at port %d", peer, listen, jobs["ipfs-cluster"])
		}
	}
	gateway, err := parseGateway(read(t, gatewayConfig), services["gateway"])
	if err != nil {
		t.Fatal(err)
	}
	if _, port := hostPort("http://" + gateway.MetricsListen); port != strconv.Itoa(jobs["pin-gateway"]) {
		t.Errorf("the gateway tells metrics at %s, and is asked at port %d", gateway.MetricsListen, jobs["pin-gateway"])
	}
	// As in the container, with the rules where they are here.
	rules, err := filepath.Abs(filepath.Join(root, "monitoring/rules"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(read(t, prometheusConfig), "/etc/prometheus/rules", rules)), 0o600); err != nil {
		t.Fatal(err)
	}
	if len(config.Rules) < 5 {
		t.Errorf("%s has the rules %v", prometheusConfig, config.Rules)
	}
	if out, err := exec.CommandContext(t.Context(), promtest.Find(t).Promtool, "check", "config", file).CombinedOutput(); err != nil {
		t.Errorf("promtool check config: %v\n%s", err, out)
	}
}

// TestGrafanaConfig shows that Grafana asks the Prometheus that there is, and
// looks for dashboards where they are.
func TestGrafanaConfig(t *testing.T) {
	var source struct {
		Datasources []struct {
			Type, URL string
			Default   bool `yaml:"isDefault"`
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/grafana-datasource.yml")), &source); err != nil {
		t.Fatal(err)
	}
	if len(source.Datasources) != 1 || source.Datasources[0].URL != "http://prometheus:9090" || source.Datasources[0].Type != "prometheus" || !source.Datasources[0].Default {
		t.Errorf("Grafana asks %+v", source.Datasources)
	}
	var dashboards struct {
		Providers []struct {
			Type    string
			Options struct{ Path string }
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/grafana-dashboards.yml")), &dashboards); err != nil {
		t.Fatal(err)
	}
	if want := watchers()["grafana"].reads["dashboards/json"]; len(dashboards.Providers) != 1 || dashboards.Providers[0].Options.Path != want || dashboards.Providers[0].Type != "file" {
		t.Errorf("Grafana looks for dashboards in %+v, not in %s", dashboards.Providers, want)
	}
}
