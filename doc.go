// Package ipfsclusterscylla is the root of a module that puts the pinset of
// ipfs-cluster into a CQL database, ScyllaDB or Apache Cassandra. It holds no
// code but the test of the rules below. The rooms:
//
//	state            the contract of a pin store and of its change feed
//	state/statetest  the conformance suite of that contract
//	state/instrumented  counts what is asked of a store, and how long that takes
//	state/snapshot   reading the pinset in the format of upstream's snapshots
//	scyllastate      the store on CQL: configuration, tables, statements
//	peer             all that one peer needs beside its store, put together
//	peer/consensus   ipfs-cluster's consensus component over a store and a feed
//	peer/membership  who is in the cluster and alive, from one table
//	peer/tracker     what this peer does with each pin
//	peer/sli         how many pins are pinned in time
//	peer/status      what all peers do with pins, for the APIs
//	peer/pinsvc      the Pinning Services API
//	peer/reconcile   repinning, expiry, hand-over and scrub
//	peer/drift       how far IPFS is from what the pinset says
//	peer/role        what takes the place of an IPFS daemon where there is none
//	events           what is told of the pinset, as it is on the wire
//	events/bus       NATS as events need it: streams, numbers, replays, wake-ups
//	events/embedded  a NATS server in the process, for one machine
//	events/relay     the feeds of events in the database, told on NATS
//	events/wake      wake-ups of feeds, from process to process
//	events/consume   receiving events, none missing whatever NATS loses
//	events/claims    claims, from gateways to who keeps accounts of them
//	events/section   what service.json says of events
//	auth/principal   who a request comes from, whatever proved it
//	auth/recent      what a store answered in the last seconds
//	auth/denylist    which tokens were revoked before their time
//	auth/jwt         bearer tokens of OIDC issuers
//	auth/apikey      keys that the gateway hands out
//	auth/did         logins and signed requests with the key of a did:key
//	auth/siwe        logins with the key of an Ethereum address
//	auth/session     the gateway's own tokens, after a login
//	auth/authn       who an HTTP request comes from, and what it is told if nobody
//	auth/authz       who may do what: policies in Cedar
//	auth/routes      the gateway's routes, and what each asks for
//	auth/door        a request's way from its credential to its record
//	auth/psa         the gateway's Pinning Services API
//	auth/pinapi      what both APIs on pins do with a request
//	auth/native      ipfs-cluster's REST API as a tenant sees it
//	auth/admin       the API on tenants, keys and credentials
//	auth/login       logins: a proof is exchanged for a session
//	auth/gateway     the rooms of auth, put together
//	auth/web         pages for people: their pins and their keys
//	auth/audit       records of what was asked and what came of it
//	auth/pins        what tenants asked to be pinned, and what makes the cluster follow
//	auth/audittable  those records in a table, and copies of their checkpoints
//	auth/keyspace    the gateway's own keyspace: its name and its schema
//	auth/accounts    tenants, keys, credentials and what was revoked, in CQL
//	auth/config      what the gateway is told: one file, variables, files of secrets
//	auth/forwarded   where a request comes from that proxies have passed on
//	auth/peerapi     what the gateway asks the peers, through their REST API
//	auth/limits      how often one may ask
//	billing/money    amounts: exact decimals with a currency
//	billing/plan     price plans, and what usage costs by them
//	billing/rails    what ways to be paid have in common
//	billing/rails/evm  chains of Ethereum's kind, read over JSON-RPC
//	billing/rails/erc20  paid in tokens as USDC, which it only receives
//	billing/rails/filecoinpay  charging rails of Filecoin Pay
//	billing/rails/railstest  a journal in memory, and a test that every journal passes
//	billing/rails/stripe     collects invoices through Stripe
//	billing/rails/stripe/stripefake  a fake of the part of Stripe that it uses, for tests
//	billing/invoice  invoices and credit notes, and how they look
//	billing/usage    the arithmetic of what is billed: days, their sums, adjustments
//	billing/usage/integral  tests compare that with areas worked out step by step
//	billing/claim    what a claim is billed for, or why it is not
//	billing/keyspace billing's own keyspace: its name and its schema
//	billing/ledger   the tables of usage: claims, facts, days and what was put aside
//	billing/ingest   events of claims become facts in these tables
//	billing/closing  facts become days, once and for good, and adjustments; compared with gateways
//	billing/invoicing  invoices get their numbers, are paid, and are told of, in CQL
//	billing/notice   what billing tells, as it is on the wire
//	billing/notice/told  tells it on NATS JetStream
//	billing/api      usage, pins and invoices over HTTP, for the gateway and for operators
//	billing/service  puts the rooms of billing together
//	billing/config   what the billing service is told, and what is wrong with it
//	migrate          pins moving in: plan, run, comparison
//	migrate/source   the places that they come from
//	monitoring       rules, alerts and who is told, for Prometheus; no code
//	monitoring/dashboards       Grafana's dashboards, as code and as JSON
//	monitoring/dashboards/draw  pictures of them for the documentation
//	cmd              main packages, one per binary
//	internal/cli     what the binaries do: flags, wiring, subcommands
//	internal/scylla  how one talks to the database; knows no table of ours
//	internal/cqlsection  the section "database" of a program's configuration, and its keyspace
//	internal/servicejson  what our sections of service.json have in common
//	internal/adminhttp  metrics, readiness and profiles, for those who run a process
//	internal/adminhttp/section  what service.json says of that, and of traces
//	internal/tracing sends spans to a collector
//	internal/problemjson  why a request is not answered, as JSON
//	internal/httpserver  serves the clients of a program, and ends so that they notice
//	internal/settings  reads the configuration of a program: a file, variables, all that is wrong
//	internal/nearest which name somebody meant who wrote another
//	internal/configpage  tests make the pages with the fields of a section
//	demo/issuer      an issuer of tokens for the demo
//	internal/cqltest a real CQL server for tests and for the demo
//	bench            the store beside a bare driver loop, peers beside stock's
//	internal/e2e     tests of the built binaries with a real Kubo
//	internal/upstream  upstream's own tests on our store and consensus
//	internal/compose   tests of docker-compose.yml and the image's start scripts
//	internal/consumer  tests of a module outside that imports this one
//	internal/multipeer tests of many peers in one process
//	internal/natstest  real NATS servers for tests
//	internal/keycloaktest  a real Keycloak for tests
//	internal/chromium      tests load pages in a browser
//	internal/promtest      a real Prometheus and Alertmanager for tests
//	internal/pinningsuite  tests run the compliance suite of the Pinning Services API
//	internal/overlay   tests build the code with planted bugs or crashes
//	internal/simtest   tests run simulations by seeds, also with planted bugs
//	internal/logtest   tests see what is logged
//	internal/endtest   tests of what skips or fails tests
//	internal/metrictest  tests see what metrics say, and that they follow the rules
//	internal/model     has TLC check the models in spec
//	internal/docs      tests that the documentation tells the truth
//
// Imports point one way: cmd to internal/cli, which wires everything; peer to
// state; scyllastate to state, internal/scylla and internal/servicejson; migrate to
// state; state to upstream's api and
// state only; events to nothing but the standard library, and what is below it
// to events, NATS, the library of Prometheus, and state where that is told; the rooms of auth to no room outside
// it but internal/scylla, internal/cqlsection, internal/settings, internal/problemjson and events; the
// rooms of billing to none of auth, and outside of billing to events, what is below it, and the same
// rooms of internal, with internal/nearest. The test in this directory enforces it, and so does
// depguard in .golangci.yml.
package ipfsclusterscylla
