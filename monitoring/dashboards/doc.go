// Package dashboards holds the Grafana dashboards as code: which panels there are, and what
// each asks Prometheus. The JSON that Grafana loads is committed in the directory json, made
// by
//
//	go test ./monitoring/dashboards -run TestCommitted -update
//
// A dashboard is a table in a file of its own; build.go turns it into the types of the
// Grafana Foundation SDK. make test-monitoring asks every query of every panel in json of a
// Prometheus that has scraped real processes, and fails if one is wrong or finds nothing.
package dashboards
