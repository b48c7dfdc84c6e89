// Package monitoring has no code. It is what an operator gives to Prometheus, Alertmanager
// and Grafana, and the tests that it works:
//
//	slo/           the service level that is a ratio of events, for sloth
//	rules/         recording rules and alerts; pin-latency.yml is what sloth makes of slo/
//	rules/tests/   for each alert a case that fires, one that does not, and one without data
//	alertmanager/  who is told what
//	dashboards/    for Grafana
//
// docs/monitoring.md says how to use it, docs/runbooks what to do about each alert. Tests
// that need Prometheus or Alertmanager get them by themselves (internal/promtest);
// MONITORING_REQUIRED=1 makes it a failure where they cannot. The live test runs with
// TEST_LONG=1: make test-monitoring.
package monitoring
