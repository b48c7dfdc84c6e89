# `make` alone lists the targets. CI calls only targets of this file.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# What was compiled in one folder is found again from any other: a fresh clone, the
# patched copies of upstream that tests make.
export GOFLAGS := $(shell go env GOFLAGS 2>/dev/null) -trimpath

# Tests of two packages at a time: each may run a server of its own, and three at
# a time take as long and more of the processors. Some build programs themselves,
# which go test's cache does not know of. Raft's database, bolt v1.3.1, fails the
# pointer checks that come with -race. go vet is left to make check.
TEST_FLAGS := -count=1 -race -gcflags=github.com/boltdb/bolt=-d=checkptr=0 -vet=off -p 2 -timeout 30m

# A process with -race sleeps for a second before it ends, if it is not told not
# to, and each package is one. Processors are what is short, not memory. Builds
# and the programs under test inherit both.
test: export GORACE ?= atexit_sleep_ms=0
test: export GOGC ?= 400

# Packages run in the order in which they are named, these before all others:
# the last ones would run alone.
LONGEST := ./internal/e2e ./scyllastate ./internal/upstream ./internal/multipeer ./internal/scylla ./migrate/source ./internal/cqltest

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: need-engine tools build ## pin a real file with its pinset in a real CQL server, and one through the gateway; show it, clean up
	@go build -o bin/demo-issuer ./demo/issuer
	@bin/cqlserver exec -- demo/run.sh demo

.PHONY: up
up: need-engine tools build ## the same, left running; starts again what has died of it
	@go build -o bin/demo-issuer ./demo/issuer
	@demo/run.sh up

.PHONY: down
down: bin-cqlserver ## stop what make up started and delete its data
	@demo/run.sh down

.PHONY: cql-up
cql-up: need-engine bin-cqlserver ## start a CQL server (CQL_NODES 1-6, CQL_DCS 1-3), or what has died of it, and print CQL_HOSTS=…
	@bin/cqlserver up

.PHONY: cql-down
cql-down: bin-cqlserver ## stop it and DELETE its data
	@bin/cqlserver down

.PHONY: test
test: need-engine need-cc bin-cqlserver ## all tests on a real CQL server; ends with a count
	@go build -o bin/testreport ./internal/cqltest/testreport
	@echo "testing; the first run compiles for minutes"
	@CQL_REQUIRED=1 bin/cqlserver exec -volatile -- go test -json $(TEST_FLAGS) $(LONGEST) ./... | bin/testreport

.PHONY: test-upstream
test-upstream: need-engine bin-cqlserver ## upstream's own tests on our store and consensus (10 minutes)
	@go build -o bin/testreport ./internal/cqltest/testreport
	@CQL_REQUIRED=1 UPSTREAM_FULL=1 bin/cqlserver exec -volatile -- go test -json -count=1 -timeout 40m ./internal/upstream | bin/testreport

# The second run puts a face of ScyllaDB before Cassandra: docs/adr/0012.
.PHONY: test-cluster
test-cluster: need-engine need-cc need-npm tools ## the long tests: 110,000 simulated schedules, many peers, every crash, nodes that hang and move, a database that is killed, the store behind a ScyllaDB face (2 hours)
	@go build -o bin/testreport ./internal/cqltest/testreport
	@TEST_LONG=1 CQL_REQUIRED=1 NODE_REQUIRED=1 bin/cqlserver exec -volatile -- bash -c '\
	go test -json -count=1 -p 1 -timeout 150m ./scyllastate ./peer/reconcile ./internal/scylla ./internal/cqltest/... ./internal/multipeer ./internal/e2e; failed=$$?; \
	case $$CQL_ENGINE_NAME in *Cassandra*) CQL_FACE=scylla go test -json -count=1 -p 1 -timeout 60m -skip ^TestSimulation \
	./internal/scylla ./scyllastate ./state/statetest || failed=$$?;; esac; exit $$failed' | bin/testreport

.PHONY: test-migrate
test-migrate: need-engine need-cc tools build ## migration at length: stock's folders with 10,000 pins, kills, and 1,000,000 pins beside a bare driver (30 minutes)
	@go build -o bin/testreport ./internal/cqltest/testreport
	@go build -o bin/bench ./bench
	@TEST_LONG=1 CQL_REQUIRED=1 bin/cqlserver exec -volatile -- bash -c 'go test -json -count=1 -p 1 -timeout 60m ./migrate/... && go test -json -count=1 -timeout 60m -run "Migrat|Bulk|Sweep|Live|Pace" ./scyllastate ./internal/e2e' | bin/testreport
	@bin/cqlserver exec -periodic -- bin/bench -only migrate -out bench/out/migrate.json

.PHONY: test-components
test-components: need-engine need-cc tools ## events at length: three NATS servers that fail while pins are made, kills at every point of what tells and receives (20 minutes)
	@go build -o bin/testreport ./internal/cqltest/testreport
	@TEST_LONG=1 CQL_REQUIRED=1 bin/cqlserver exec -volatile -- bash -c '\
	go test -json -count=1 -p 1 -timeout 60m ./events/... ./internal/natstest; failed=$$?; \
	go test -json -count=1 -timeout 60m -run ^TestEvents ./internal/e2e || failed=$$?; exit $$failed' | bin/testreport

.PHONY: test-gateway
test-gateway: need-engine need-cc need-keycloak need-npm need-chromium tools ## the gateway at length: a real Keycloak whose keys change, the compliance suite of the Pinning Services API, pages in a real browser (30 minutes)
	@go build -o bin/testreport ./internal/cqltest/testreport
	@TEST_LONG=1 CQL_REQUIRED=1 KEYCLOAK_REQUIRED=1 NODE_REQUIRED=1 CHROMIUM_REQUIRED=1 bin/cqlserver exec -volatile -- bash -c '\
	go test -json -count=1 -p 1 -timeout 60m ./auth/... ./internal/keycloaktest ./internal/pinningsuite ./internal/chromium; failed=$$?; \
	go test -json -count=1 -p 1 -timeout 60m -run ^TestGateway ./internal/e2e ./internal/compose || failed=$$?; exit $$failed' | bin/testreport

.PHONY: test-billing
test-billing: need-engine need-cc need-chromium need-poppler bin-cqlserver ## billing at length: invoices in a real browser and in another's reader of PDFs, crashes at every step, each planted bug (1 hour)
	@go build -o bin/testreport ./internal/cqltest/testreport
	@TEST_LONG=1 CQL_REQUIRED=1 CHROMIUM_REQUIRED=1 POPPLER_REQUIRED=1 bin/cqlserver exec -volatile -- go test -json -count=1 -p 1 -timeout 120m ./billing/... | bin/testreport

.PHONY: test-chains
test-chains: need-go need-cc ## rails on chains, on go-ethereum's simulated chain, which is built for 5 to 15 minutes the first time; with TEST_LONG=1 every stop
	@go build -o bin/testreport ./internal/cqltest/testreport
	@echo "building go-ethereum (minutes the first time)"
	@cd billing/chaintest && GORACE=atexit_sleep_ms=0 GOGC=400 go test -json -count=1 -race -vet=off -timeout 60m ./... | ../../bin/testreport

.PHONY: test-monitoring
test-monitoring: need-engine need-cc need-monitoring tools ## monitoring at length: a real Prometheus and Alertmanager watch real peers, every panel finds something, what is broken somebody is told, each rule's tests see it spoilt (10 minutes)
	@go build -o bin/testreport ./internal/cqltest/testreport
	@echo "building bin/pint (minutes the first time)"
	@cd tools/pint && go build -o ../../bin/pint github.com/cloudflare/pint/cmd/pint
	@export TEST_LONG=1 MONITORING_REQUIRED=1 CQL_REQUIRED=1 GORACE=atexit_sleep_ms=0; { failed=0; \
	go test -json $(TEST_FLAGS) ./monitoring/... ./internal/promtest || failed=$$?; \
	go test -json $(TEST_FLAGS) -run '^TestMonitoring$$' ./internal/e2e || failed=$$?; exit $$failed; } | bin/testreport

.PHONY: rules
rules: need-go ## make the rules of monitoring/slo again, after a change there
	@echo "building bin/sloth (10 minutes the first time)"
	@cd tools/sloth && go build -o ../../bin/sloth github.com/slok/sloth/cmd/sloth
	@cd monitoring && for slo in slo/*.yml; do ../bin/sloth generate -i $$slo -o rules/$${slo##*/}; done && sha256sum slo/*.yml $$(cd slo && printf 'rules/%s\n' *.yml) >slo/checksums

.PHONY: model
model: need-go need-model ## the protocol as a model in TLA+, checked exhaustively, and its mistakes found (10 minutes; MODEL_FLAGS='-run "fence at once" -trace')
	@go build -o bin/model ./internal/model
	@bin/model $(MODEL_FLAGS)

.PHONY: bench
bench: need-engine bin-cqlserver build ## readiness, memory, clusters beside stock's, the store's cost and expiry, side by side (30 minutes; BENCH_FLAGS=-quick)
	@go build -o bin/bench ./bench
	@mkdir -p bin/stock && go build -o bin/stock/ipfs-cluster-service github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-service
	@bin/cqlserver exec -periodic -- bin/bench $(BENCH_FLAGS)

.PHONY: build
build: need-go ## bin/ipfs-cluster-service, bin/pin-gateway and bin/pin-billing
	@echo "building bin/ipfs-cluster-service, bin/pin-gateway and bin/pin-billing (minutes the first time)"
	@go build -o bin/ipfs-cluster-service ./cmd/ipfs-cluster-service
	@go build -o bin/pin-gateway ./cmd/pin-gateway
	@go build -o bin/pin-billing ./cmd/pin-billing

.PHONY: check
check: need-go ## format, vet, lint, import rules, documentation, go.mod, shell syntax
	@echo "gofmt"
	@unformatted=$$(git ls-files -z -co --exclude-standard '*.go' | xargs -0 -r ls -d 2>/dev/null | xargs -r gofmt -l); \
	[[ -z $$unformatted ]] || { echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; }
	@echo "go vet"
	@go vet ./...
	@echo "import rules, documentation"
	@go test -count=1 . ./internal/docs
	@go test -count=1 -run 'TestConfigurationPage|TestUndocumentedField' ./scyllastate
	@go test -count=1 -run 'TestEventsPage|TestUndocumentedField|TestGolden' ./events
	@go test -count=1 -run '^TestPage$$' ./auth/config ./events/section ./internal/adminhttp/section
	@go test -count=1 -run '^TestMetricsPage$$' ./internal/cli/service
	@go test -count=1 -run '^TestDocument$$' ./auth/admin
	@echo "golangci-lint (minutes the first time)"
	@cd tools/lint && go build -o ../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@bin/golangci-lint run ./...
	@cd tools/compose && ../../bin/golangci-lint run -c ../../.golangci.yml ./...
	@echo "go mod tidy"
	@go mod tidy -diff
	@echo "shell syntax"
	@for script in demo/need demo/run.sh .ci/run; do bash -n "$$script"; done
	@sh -n deploy/entrypoint.sh
	@if command -v shellcheck >/dev/null; then shellcheck demo/need demo/run.sh .ci/run deploy/entrypoint.sh; fi

.PHONY: clean
clean: ## remove bin and .build
	@demo/run.sh clean

# What the demo needs besides our own binary: the CQL server's starter, stock
# ipfs-cluster-ctl and Kubo.
.PHONY: tools
tools: bin-cqlserver
	@echo "building bin/ipfs-cluster-ctl and bin/ipfs, which is Kubo (minutes the first time)"
	@go build -o bin/ipfs-cluster-ctl github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-ctl
	@cd tools/kubo && go build -o ../../bin/ipfs github.com/ipfs/kubo/cmd/ipfs

.PHONY: bin-cqlserver
bin-cqlserver: need-go
	@go build -o bin/cqlserver ./internal/cqltest/cqlserver

.PHONY: need-go need-cc need-engine need-npm need-model need-keycloak need-chromium need-monitoring need-poppler
need-go need-cc need-engine need-npm need-model need-keycloak need-chromium need-monitoring need-poppler: need-%:
	@demo/need $*
