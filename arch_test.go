package ipfsclusterscylla

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const (
	module   = "github.com/ipfs-cluster/ipfs-cluster-scylla"
	upstream = "github.com/ipfs-cluster/ipfs-cluster"
)

// room says what the packages of a directory may import in files that are not
// tests. A name that ends in /... stands for a directory and all below it.
type room struct {
	name string
	// ours are the other rooms of this module that may be imported.
	ours []string
	// only are the import paths from elsewhere that may be imported, besides
	// the standard library. Nil means any.
	only []string
	// never are import paths that must not be imported.
	never []string
	why   string
}

// driver are the packages that speak CQL.
var driver = []string{"github.com/gocql/gocql/...", "github.com/scylladb/gocqlx/v2/..."}

// rooms lists every directory with packages. The first that matches counts.
var rooms = []room{
	{name: "state", only: []string{upstream + "/api", upstream + "/state", "github.com/libp2p/go-libp2p/core/peer"},
		why: "the contract knows upstream's types and nothing else"},
	{name: "state/statetest", ours: []string{"state"}, never: driver,
		why: "the suite must run on every store"},
	{name: "state/instrumented", ours: []string{"state"}, only: []string{upstream + "/api", "github.com/prometheus/client_golang/prometheus"},
		why: "it counts what is asked of any store"},
	{name: "state/snapshot", ours: []string{}, never: append([]string{upstream, upstream + "/cmdutils/..."}, driver...),
		why: "a format of upstream, read and nothing else"},
	{name: "scyllastate/...", ours: []string{"state", "state/snapshot", "internal/scylla", "internal/servicejson", "scyllastate/..."},
		never: []string{upstream, upstream + "/cmdutils/..."},
		why:   "the store knows its contract and its database, not who uses it"},
	{name: "peer/sli", ours: []string{"state", "peer/membership"},
		only: []string{upstream + "/api", "github.com/ipfs/go-cid", "github.com/ipfs/go-log/v2", "github.com/libp2p/go-libp2p/core/peer",
			"github.com/multiformats/go-multihash", "github.com/prometheus/client_golang/prometheus"},
		why: "it counts what it is told, whoever pins"},
	{name: "peer/drift", ours: []string{"state", "peer/tracker"},
		only: []string{upstream + "/api", "github.com/ipfs/go-log/v2", "github.com/libp2p/go-libp2p/core/peer", "github.com/prometheus/client_golang/prometheus", "golang.org/x/time/rate"},
		why:  "it measures, over any store and any Kubo, and changes nothing"},
	{name: "peer/...", ours: []string{"state", "peer/..."},
		never: append([]string{upstream, upstream + "/cmdutils/..."}, driver...),
		why:   "a peer works over any store; upstream's root imports the components it is given"},
	{name: "events", ours: []string{}, only: []string{},
		why: "who reads events imports it, and nothing else with it"},
	{name: "events/bus", ours: []string{"events"}, only: []string{"github.com/nats-io/nats.go/...", "github.com/ipfs/go-log/v2", "github.com/prometheus/client_golang/prometheus"},
		why: "NATS, for those who tell and those who read; it knows no pin and no database"},
	{name: "events/embedded", ours: []string{}, only: []string{"github.com/nats-io/nats-server/v2/...", "github.com/ipfs/go-fs-lock", "github.com/ipfs/go-log/v2"},
		why: "a server like any other, which happens to be in the process"},
	{name: "events/relay", ours: []string{"events", "events/bus", "state"}, never: append([]string{upstream}, driver...),
		why: "it reads any store that has events"},
	{name: "events/wake", ours: []string{"events/bus", "state"}, only: []string{"github.com/ipfs/go-log/v2"},
		why: "it carries wake-ups of any feeds"},
	{name: "events/consume", ours: []string{"events", "events/bus"},
		only: []string{"github.com/nats-io/nats.go/...", "github.com/ipfs/go-log/v2", "github.com/hashicorp/golang-lru/v2", "github.com/prometheus/client_golang/prometheus", "golang.org/x/sync/errgroup"},
		why:  "other programs receive events with it; it knows no pin and no database"},
	{name: "events/claims", ours: []string{"events", "events/bus"},
		only: []string{"github.com/nats-io/nats.go/...", "github.com/ipfs/go-log/v2", "github.com/prometheus/client_golang/prometheus"},
		why:  "it carries events of claims, whoever makes them and whatever is made of them"},
	{name: "events/section", ours: []string{"events/bus", "events/embedded", "internal/servicejson"}, only: []string{upstream + "/config"},
		why: "it reads what others start"},
	{name: "auth/principal", ours: []string{}, only: []string{},
		why: "who a request comes from, in words that every other room of auth knows"},
	{name: "auth/recent", ours: []string{}, only: []string{"github.com/hashicorp/golang-lru/v2", "golang.org/x/sync/singleflight"},
		why: "it remembers answers, whatever they are about"},
	{name: "auth/denylist", ours: []string{"auth/principal", "auth/recent"}, only: []string{},
		why: "it remembers what a store says, and knows no store"},
	{name: "auth/jwt", ours: []string{"auth/principal"}, only: []string{"github.com/go-jose/go-jose/v4/..."},
		why: "one kind of credential knows neither the others nor a store"},
	{name: "auth/apikey", ours: []string{"auth/principal", "auth/recent"}, only: []string{"github.com/hashicorp/golang-lru/v2"},
		why: "one kind of credential knows neither the others nor a store"},
	{name: "auth/session", ours: []string{"auth/principal", "auth/jwt"}, only: []string{"github.com/go-jose/go-jose/v4/..."},
		why: "one kind of credential knows no store"},
	{name: "auth/did", ours: []string{"auth/principal", "auth/jwt"}, only: []string{"github.com/decred/dcrd/dcrec/secp256k1/v4/...", "github.com/dunglas/httpsfv",
		"github.com/go-jose/go-jose/v4/json", "github.com/multiformats/go-multibase", "github.com/multiformats/go-multicodec", "github.com/multiformats/go-varint"},
		why: "one kind of credential knows no store"},
	{name: "auth/siwe", ours: []string{"auth/principal"}, only: []string{"github.com/decred/dcrd/dcrec/secp256k1/v4/...", "golang.org/x/crypto/sha3"},
		why: "one kind of credential knows no store"},
	{name: "auth/authn", ours: []string{"auth/forwarded", "auth/principal", "auth/recent", "auth/jwt", "auth/apikey", "auth/session"}, only: []string{},
		why: "it asks the rooms for credentials, and does none of their work"},
	{name: "auth/authz", ours: []string{}, only: []string{"github.com/cedar-policy/cedar-go/..."},
		why: "it decides; who asks, over what, and where it is written are others' matter"},
	{name: "auth/routes", ours: []string{}, only: []string{},
		why: "a table, and nothing that serves it"},
	{name: "auth/door", ours: []string{"auth/forwarded", "auth/limits", "auth/principal", "auth/authn", "auth/authz", "auth/routes", "auth/audit", "internal/problemjson"}, only: []string{"github.com/ipfs/go-log/v2"},
		why: "it leads requests, and serves none"},
	{name: "auth/pinapi", ours: []string{"auth/authz", "auth/door", "auth/pins"}, only: []string{"github.com/ipfs/go-cid"},
		why: "it stands between requests and what is said of them"},
	{name: "auth/native", ours: []string{"auth/authz", "auth/door", "auth/peerapi", "auth/pinapi", "auth/pins", "auth/routes"}, only: []string{},
		why: "an API reads and writes HTTP; what it says is done is done elsewhere"},
	{name: "auth/psa", ours: []string{"auth/authz", "auth/door", "auth/pinapi", "auth/pins", "auth/routes"}, only: []string{},
		why: "an API reads and writes HTTP; what it says is done is done elsewhere"},
	{name: "auth/admin", ours: []string{"auth/principal", "auth/apikey", "auth/accounts", "auth/authn", "auth/authz", "auth/routes", "auth/door", "auth/audit", "events"},
		only: []string{"github.com/go-json-experiment/json"},
		why:  "an API reads and writes HTTP; what it says is done is done elsewhere"},
	{name: "auth/login", ours: []string{"auth/principal", "auth/denylist", "auth/jwt", "auth/did", "auth/siwe", "auth/session", "auth/authn", "auth/routes", "auth/door", "auth/audit"},
		only: []string{"github.com/coreos/go-oidc/v3/oidc", "golang.org/x/oauth2", "github.com/go-json-experiment/json"},
		why:  "it exchanges what the rooms for credentials prove, and knows no store"},
	{name: "demo/issuer", ours: []string{}, only: []string{"github.com/go-jose/go-jose/v4"},
		why: "it stands in for a program that is not ours"},
	{name: "auth/gateway", ours: []string{"auth/...", "events", "events/bus", "events/claims", "events/consume", "internal/scylla"},
		only: []string{"github.com/google/uuid", "github.com/hashicorp/golang-lru/v2/simplelru", "golang.org/x/time/rate", "github.com/ipfs/go-log/v2", "github.com/prometheus/client_golang/prometheus/...", "golang.org/x/sync/errgroup"},
		why:  "it puts the rooms of auth together, and nothing else"},
	{name: "auth/web", ours: []string{"auth/principal", "auth/apikey", "auth/accounts", "auth/authn", "auth/authz", "auth/door", "auth/pinapi", "auth/pins", "auth/routes"},
		only: []string{}, why: "pages read forms and write HTML; what they say is done is done elsewhere"},
	{name: "auth/audit", ours: []string{}, only: []string{"github.com/go-json-experiment/json/jsontext"},
		why: "what is recorded does not depend on what it is recorded of"},
	{name: "auth/audittable", ours: []string{"internal/scylla", "auth/audit"}, only: []string{"github.com/gocql/gocql"},
		why: "it keeps the chain of package audit in rows, through a database that it is given"},
	{name: "auth/keyspace/...", ours: []string{"internal/scylla", "internal/cqlsection", "auth/keyspace/schema"}, only: []string{},
		why: "the gateway's tables are its own; a peer is met at its API"},
	{name: "auth/accounts", ours: []string{"internal/scylla", "auth/principal", "auth/recent", "auth/apikey", "auth/denylist", "auth/authz"},
		only: []string{"github.com/gocql/gocql"},
		why:  "it stores what the rooms for credentials ask for, through a database that it is given"},
	{name: "auth/config", ours: []string{"auth/keyspace", "internal/cqlsection", "auth/jwt", "auth/apikey", "auth/session", "internal/settings"}, only: []string{},
		why: "it says what others are told, and starts none of them"},
	{name: "auth/forwarded", ours: []string{}, only: []string{},
		why: "headers of HTTP, and nothing of who sends them"},
	{name: "auth/peerapi", ours: []string{}, only: []string{"github.com/ipfs/go-cid", "github.com/multiformats/go-multiaddr"},
		why: "it meets a peer at its API, with types of its own"},
	{name: "auth/limits", ours: []string{}, only: []string{"github.com/hashicorp/golang-lru/v2/simplelru", "golang.org/x/time/rate"},
		why: "it counts, whatever is counted"},
	{name: "auth/pins", ours: []string{"internal/scylla"},
		only: []string{"github.com/gocql/gocql", "github.com/google/uuid", "github.com/hashicorp/golang-lru/v2", "github.com/ipfs/go-cid", "github.com/ipfs/go-log/v2",
			"github.com/multiformats/go-multiaddr", "golang.org/x/sync/errgroup", "golang.org/x/text/cases"},
		why: "tables and a worker: it knows no HTTP, no principal and no cluster but its interface Peer"},
	{name: "billing/money", ours: []string{"internal/nearest"}, only: []string{"github.com/cockroachdb/apd/v3"},
		why: "amounts, whatever they are of"},
	{name: "billing/plan", ours: []string{"billing/money", "internal/nearest"}, only: []string{"gopkg.in/yaml.v3"},
		why: "arithmetic on what it is given: it knows no table, no owner and no clock"},
	{name: "billing/rails", ours: []string{}, only: []string{},
		why: "what ways to be paid have in common knows none of them, and no store"},
	{name: "billing/rails/evm", ours: []string{"billing/rails"}, only: []string{"golang.org/x/crypto/sha3"},
		why: "it reads chains over JSON-RPC, whoever is paid there; go-ethereum is in the module of their tests only"},
	{name: "billing/rails/erc20", ours: []string{"billing/rails", "billing/rails/evm"}, only: []string{"github.com/piglig/go-qr"},
		why: "it receives, so it needs nothing that could sign"},
	{name: "billing/rails/filecoinpay", ours: []string{"billing/rails", "billing/rails/evm"}, only: []string{"github.com/decred/dcrd/dcrec/secp256k1/v4/..."},
		why: "the one room of billing with a private key has little else in it"},
	{name: "billing/rails/railstest", ours: []string{"billing/rails"}, only: []string{},
		why: "it tests any journal"},
	{name: "billing/rails/stripe", ours: []string{"billing/rails"}, only: []string{"github.com/stripe/stripe-go/v82/...", "github.com/ipfs/go-log/v2"},
		why: "one rail knows neither the others nor a store"},
	{name: "billing/rails/stripe/stripefake", ours: []string{}, only: []string{},
		why: "it stands in for a program that is not ours, and shares nothing with what is tested on it"},
	{name: "billing/invoice", ours: []string{"billing/money"},
		only: []string{"github.com/go-json-experiment/json/...", "github.com/go-pdf/fpdf", "golang.org/x/image/font/gofont/...", "golang.org/x/image/font/sfnt"},
		why:  "documents: who keeps them, and what was used, are others' matter"},
	{name: "billing/usage", ours: []string{}, only: []string{},
		why: "arithmetic, whatever it is of and wherever that is stored"},
	{name: "billing/usage/integral", ours: []string{}, only: []string{},
		why: "what billing is compared with knows nothing of it"},
	{name: "billing/claim", ours: []string{"billing/usage", "events"}, only: []string{},
		why: "it reads what a claim says, whoever tells it and wherever that is stored"},
	{name: "billing/keyspace/...", ours: []string{"internal/scylla", "internal/cqlsection", "billing/keyspace/schema"}, only: []string{},
		why: "the tables of billing are its own"},
	{name: "billing/ledger", ours: []string{"billing/usage", "billing/claim", "events", "internal/scylla"}, only: []string{"github.com/gocql/gocql", "golang.org/x/sync/errgroup"},
		why: "it stores what is worked out elsewhere, through a database that it is given"},
	{name: "billing/ingest", ours: []string{"billing/usage", "billing/claim", "billing/ledger", "events", "events/claims"}, only: []string{"github.com/prometheus/client_golang/prometheus"},
		why: "it stands between events and the ledger, and knows neither NATS nor CQL"},
	{name: "billing/closing", ours: []string{"billing/usage", "billing/claim", "billing/ledger", "events", "events/claims", "events/consume", "internal/scylla"},
		only: []string{"github.com/google/uuid", "github.com/ipfs/go-log/v2", "github.com/prometheus/client_golang/prometheus", "golang.org/x/sync/errgroup"},
		why:  "it closes days by the tables of the ledger, and compares them with what a gateway says; what counts events is an interface"},
	{name: "billing/notice", ours: []string{}, only: []string{},
		why: "wire types are for whoever receives them"},
	{name: "billing/notice/told", ours: []string{"billing/notice", "events/bus"}, only: []string{"github.com/nats-io/nats.go", "github.com/nats-io/nats.go/jetstream"},
		why: "it tells what it is given, and keeps nothing"},
	{name: "billing/invoicing", ours: []string{"billing/money", "billing/plan", "billing/invoice", "billing/rails", "billing/notice", "internal/scylla"},
		only: []string{"github.com/gocql/gocql", "golang.org/x/sync/errgroup"},
		why:  "it keeps what others work out; what was used, and how one pays, is told to it"},
	{name: "billing/api", ours: []string{"billing/claim", "billing/closing", "billing/invoice", "billing/ledger", "billing/plan", "billing/usage", "internal/problemjson"},
		only: []string{"github.com/google/uuid", "github.com/ipfs/go-log/v2"},
		why:  "an API reads and writes HTTP; what it says is worked out elsewhere"},
	{name: "billing/service", ours: []string{"billing/...", "events/bus", "events/claims", "events/consume", "internal/scylla"},
		only: []string{"github.com/google/uuid", "github.com/ipfs/go-log/v2", "github.com/prometheus/client_golang/prometheus/..."},
		why:  "it puts the rooms of billing together, and nothing else"},
	{name: "billing/config", ours: []string{"billing/keyspace", "billing/claim", "billing/usage", "billing/money", "billing/plan", "billing/invoice", "internal/cqlsection", "internal/settings", "internal/nearest"}, only: []string{},
		why: "it says what others are told, and starts none of them"},
	{name: "migrate", ours: []string{"state", "migrate/source"}, never: append([]string{upstream, upstream + "/cmdutils/..."}, driver...),
		why: "pins move between any two places"},
	{name: "migrate/source", ours: []string{"state", "state/snapshot"}, never: append([]string{upstream, upstream + "/cmdutils/..."}, driver...),
		why: "where pins come from knows nothing of where they go"},
	{name: "internal/adminhttp", ours: []string{}, only: []string{"github.com/prometheus/client_golang/prometheus/...", "golang.org/x/net/netutil"},
		why: "a listener for any process; what is told there is given to it"},
	{name: "internal/adminhttp/section", ours: []string{"internal/servicejson"}, only: []string{upstream + "/config"},
		why: "it says what others start"},
	{name: "internal/tracing", ours: []string{"internal/scylla"}, only: []string{"go.opencensus.io/trace", "go.opentelemetry.io/otel/...", "google.golang.org/grpc/credentials"},
		why: "it sends spans, whoever makes them"},
	{name: "internal/problemjson", ours: []string{}, only: []string{},
		why: "a form of answers, whoever answers"},
	{name: "internal/httpserver", ours: []string{}, only: []string{"github.com/ipfs/go-log/v2"},
		why: "it serves any handler"},
	{name: "internal/settings", ours: []string{"internal/nearest"}, only: []string{"github.com/go-json-experiment/json/jsontext"},
		why: "it reads the configuration of any program, and knows no setting"},
	{name: "internal/nearest", ours: []string{}, only: []string{},
		why: "it compares names, whatever they name"},
	{name: "internal/servicejson", ours: []string{"internal/nearest"}, only: []string{upstream + "/config", "github.com/kelseyhightower/envconfig"},
		why: "it knows no section"},
	{name: "internal/configpage", ours: []string{"internal/servicejson"}, only: []string{},
		why: "a page for any section"},
	{name: "internal/scylla", never: []string{upstream + "/..."},
		why: "how to talk to the database; it knows no table and no pin"},
	{name: "internal/cqlsection", ours: []string{"internal/scylla"}, only: []string{"github.com/gocql/gocql"},
		why: "it opens the keyspace of any program, and knows no table"},
	{name: "internal/cqltest/scyllaface", ours: []string{}, never: append([]string{upstream + "/..."}, driver...),
		why: "a proxy knows neither what is before it nor how the server behind it was started"},
	{name: "internal/cqltest", ours: []string{"internal/cqltest/..."}, never: []string{upstream + "/..."},
		why: "a server for tests knows nothing of what is tested"},
	{name: "internal/cqltest/...", ours: []string{"internal/cqltest/child", "internal/cqltest/engine"}, never: []string{upstream + "/..."},
		why: "a server for tests knows nothing of what is tested"},
	{name: "internal/upstream", ours: []string{}, only: []string{},
		why: "it works on a copy of upstream from outside"},
	{name: "internal/compose", only: []string{}, why: "tests of files, and of programs from outside"},
	{name: "internal/consumer", only: []string{}, why: "tests of another module that uses this one"},
	{name: "internal/multipeer", only: []string{}, why: "tests of many peers in one process"},
	{name: "internal/scale", ours: []string{}, only: []string{},
		why: "arithmetic, which tests of the others compare with what they do"},
	{name: "internal/overlay", only: []string{}, why: "it builds code with mistakes in it, whatever code that is"},
	{name: "internal/simtest", ours: []string{"internal/overlay"}, only: []string{"github.com/ipfs/go-log/v2"},
		why: "it runs what others simulate, whatever that is"},
	{name: "internal/endtest", ours: []string{}, only: []string{},
		why: "it ends the tests of others, whatever ends them"},
	{name: "internal/logtest", ours: []string{}, only: []string{"github.com/ipfs/go-log/v2"},
		why: "it shows what others log, whatever that is"},
	{name: "internal/metrictest", ours: []string{}, only: []string{"github.com/prometheus/client_golang/prometheus/...", "github.com/prometheus/client_model/go"},
		why: "it shows what metrics say, whatever they count"},
	{name: "internal/natstest", ours: []string{}, only: []string{"github.com/nats-io/nats-server/v2/..."},
		why: "a server for tests knows nothing of what is tested"},
	{name: "internal/keycloaktest", ours: []string{"internal/cqltest/child"}, only: []string{},
		why: "an issuer for tests knows nothing of who trusts it"},
	{name: "internal/promtest", ours: []string{"internal/cqltest/child"}, only: []string{},
		why: "servers for tests know nothing of what is tested"},
	{name: "monitoring", ours: []string{}, only: []string{}, why: "it has no code"},
	{name: "internal/pinningsuite", ours: []string{"internal/cqltest/child"}, only: []string{},
		why: "it runs a program from outside, on any server"},
	{name: "internal/chromium", ours: []string{"internal/cqltest/child"}, only: []string{},
		why: "it loads pages, whoever serves them"},
	{name: "internal/model", ours: []string{"internal/cqltest/child"}, only: []string{},
		why: "it checks models with a program from outside"},
	{name: "internal/docs", only: []string{}, why: "tests of the documentation"},
	{name: "internal/e2e/...", ours: []string{"internal/cqltest", "internal/cqltest/engine"}, only: []string{},
		why: "tests of whole processes see them from outside"},
	{name: "bench", ours: []string{"state/...", "scyllastate/...", "peer/...", "migrate/...", "events/...", "auth/...", "billing/...", "internal/scylla", "internal/cqltest", "internal/cqltest/child", "internal/cqltest/engine"},
		why: "a command that measures the others from outside"},
	{name: "internal/cli/...", ours: []string{"state", "state/instrumented", "scyllastate/...", "peer/...", "events/...", "auth/...", "migrate/...", "internal/scylla", "internal/cqlsection", "internal/servicejson", "internal/settings", "internal/adminhttp/...", "internal/httpserver", "internal/tracing", "billing/...", "internal/cli/..."},
		why: "the place where everything is wired, except what is for tests"},
	{name: "monitoring/dashboards", ours: []string{}, only: []string{"github.com/grafana/grafana-foundation-sdk/go/..."},
		why: "dashboards ask for metrics by name, whoever has them"},
	{name: "monitoring/dashboards/draw", ours: []string{"monitoring/dashboards"}, only: []string{},
		why: "it draws what a Prometheus answers"},
	{name: "cmd/...", ours: []string{"internal/cli/..."}, only: []string{},
		why: "a main function of a few lines"},
	{name: ".", only: []string{}, why: "the root holds the package map and this test"},
}

// importTesting are the rooms whose packages are for tests.
var importTesting = []string{"state/statetest", "internal/cqltest", "internal/overlay", "internal/simtest", "internal/logtest", "internal/endtest", "internal/metrictest", "internal/natstest",
	"internal/keycloaktest", "internal/promtest", "internal/pinningsuite", "internal/chromium", "billing/rails/railstest"}

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	packages := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; packages++ {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal("go list: ", err)
		}
		for _, problem := range checkImports(p) {
			t.Error(problem)
		}
	}
	if packages < 2 {
		t.Errorf("go list names %d packages: the rules were not applied", packages)
	}
}

// checkImports returns the imports of a package that its room forbids.
func checkImports(p goPackage) []string {
	name := path.Clean(strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/"))
	i := slices.IndexFunc(rooms, func(r room) bool { return matches(r.name, name) })
	if i < 0 {
		return []string{fmt.Sprintf("package %s is in no room: add it to rooms in arch_test.go", name)}
	}
	r := rooms[i]
	var problems []string
	for _, imported := range p.Imports {
		var allowed bool
		if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
			allowed = anyMatches(r.ours, ours)
		} else {
			allowed = (isStandard(imported) || r.only == nil || anyMatches(r.only, imported)) && !anyMatches(r.never, imported)
		}
		if imported == "testing" {
			allowed = anyMatches(importTesting, name)
		}
		if !allowed {
			problems = append(problems, fmt.Sprintf("%s must not import %s: %s", name, imported, r.why))
		}
	}
	return problems
}

func anyMatches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// matches tells whether name is pattern, or below it if pattern ends in /... .
func matches(pattern, name string) bool {
	dir, below := strings.CutSuffix(pattern, "/...")
	return name == dir || below && strings.HasPrefix(name, dir+"/")
}

// isStandard tells the standard library by its import paths, whose first
// element has no dot.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// The rules are worth something only if each can fail.
func TestImportRulesCanFail(t *testing.T) {
	for _, test := range []struct {
		pkg, imported string
		ok            bool
	}{
		{"", "strings", true},
		{"", module + "/state", false},
		{"/state", upstream + "/api", true},
		{"/state", upstream + "/state", true},
		{"/state", upstream, false},
		{"/state", upstream + "/config", false},
		{"/state", "github.com/gocql/gocql", false},
		{"/state", module + "/scyllastate", false},
		{"/state", "testing", false},
		{"/state/statetest", "testing", true},
		{"/state/statetest", "pgregory.net/rapid", true},
		{"/state/statetest", module + "/scyllastate", false},
		{"/scyllastate", "github.com/gocql/gocql", true},
		{"/scyllastate", module + "/internal/scylla", true},
		{"/scyllastate", module + "/peer/consensus", false},
		{"/scyllastate", upstream, false},
		{"/scyllastate/schema", module + "/internal/cli/service", false},
		{"/peer/consensus", module + "/state", true},
		{"/peer/consensus", module + "/scyllastate", false},
		{"/peer/consensus", module + "/internal/scylla", false},
		{"/peer/consensus", "github.com/gocql/gocql", false},
		{"/peer/consensus", "github.com/scylladb/gocqlx/v2/table", false},
		{"/peer/consensus", upstream, false},
		{"/peer/consensus", upstream + "/cmdutils", false},
		{"/peer/consensus", upstream + "/api", true},
		{"/peer/tracker", module + "/peer/sli", true},
		{"/peer/sli", module + "/peer/membership", true},
		{"/peer/sli", module + "/peer/tracker", false},
		{"/events", "encoding/json", true},
		{"/events", module + "/state", false},
		{"/events", upstream + "/api", false},
		{"/events", "github.com/nats-io/nats.go", false},
		{"/events/bus", "github.com/nats-io/nats.go/jetstream", true},
		{"/events/bus", "github.com/nats-io/nats-server/v2/server", false},
		{"/events/bus", module + "/events", true},
		{"/events/bus", module + "/state", false},
		{"/events/embedded", "github.com/nats-io/nats-server/v2/server", true},
		{"/events/embedded", "github.com/nats-io/nats.go", false},
		{"/events/embedded", module + "/events/bus", false},
		{"/events/consume", module + "/events/bus", true},
		{"/events/consume", module + "/scyllastate", false},
		{"/events/consume", upstream + "/api", false},
		{"/events/consume", "github.com/nats-io/nats-server/v2/server", false},
		{"/events/section", module + "/events/bus", true},
		{"/events/section", upstream + "/config", true},
		{"/events/section", module + "/scyllastate", false},
		{"/events/bus", module + "/events/section", false},
		{"/internal/servicejson", module + "/scyllastate", false},
		{"/internal/adminhttp", "github.com/prometheus/client_golang/prometheus/promhttp", true},
		{"/internal/adminhttp", module + "/state", false},
		{"/internal/adminhttp", module + "/internal/adminhttp/section", false},
		{"/internal/adminhttp/section", module + "/internal/servicejson", true},
		{"/internal/adminhttp/section", module + "/internal/adminhttp", false},
		{"/internal/tracing", module + "/internal/adminhttp/section", false},
		{"/internal/tracing", "go.opentelemetry.io/otel/sdk/trace", true},
		{"/state/instrumented", module + "/state", true},
		{"/state/instrumented", module + "/scyllastate", false},
		{"/peer/tracker", module + "/state/instrumented", false},
		{"/scyllastate", module + "/internal/servicejson", true},
		{"/scyllastate", module + "/internal/configpage", false},
		{"/internal/cli/service", module + "/events/section", true},
		{"/events", "github.com/cloudevents/sdk-go/v2/event", false},
		{"/auth/jwt", module + "/auth/principal", true},
		{"/auth/jwt", module + "/auth/apikey", false},
		{"/auth/did", module + "/auth/siwe", false},
		{"/auth/did", "github.com/yaronf/httpsign", false},
		{"/auth/authn", module + "/auth/jwt", true},
		{"/auth/authn", "github.com/go-jose/go-jose/v4", false},
		{"/auth/apikey", module + "/internal/scylla", false},
		{"/auth/apikey", module + "/scyllastate", false},
		{"/auth/principal", "net/http", true},
		{"/auth/principal", "github.com/go-jose/go-jose/v4", false},
		{"/auth/authz", "github.com/cedar-policy/cedar-go/types", true},
		{"/auth/authz", module + "/auth/audit", false},
		{"/auth/routes", upstream + "/api/rest", false},
		{"/auth/routes", module + "/auth/authz", false},
		{"/auth/audit", module + "/scyllastate", false},
		{"/auth/door", module + "/auth/authz", true},
		{"/auth/door", module + "/internal/scylla", false},
		{"/auth/audit", module + "/internal/scylla", false},
		{"/auth/audittable", module + "/auth/audit", true},
		{"/auth/audittable", module + "/auth/keyspace", false},
		{"/auth/config", module + "/auth/keyspace", true},
		{"/auth/config", module + "/internal/servicejson", false},
		{"/auth/config", module + "/auth/accounts", false},
		{"/auth/forwarded", module + "/auth/config", false},
		{"/auth/keyspace", module + "/internal/scylla", true},
		{"/auth/keyspace", module + "/scyllastate/schema", false},
		{"/auth/keyspace", "github.com/gocql/gocql", false},
		{"/internal/cqlsection", module + "/internal/scylla", true},
		{"/internal/cqlsection", module + "/auth/keyspace", false},
		{"/auth/keyspace/schema", upstream + "/config", false},
		{"/auth/accounts", module + "/auth/apikey", true},
		{"/auth/accounts", module + "/auth/keyspace", false},
		{"/auth/accounts", module + "/scyllastate", false},
		{"/auth/accounts", "net/http", true},
		{"/auth/login", module + "/auth/siwe", true},
		{"/auth/admin", module + "/auth/accounts", true},
		{"/auth/admin", module + "/auth/keyspace", false},
		{"/auth/admin", "github.com/getkin/kin-openapi/openapi3", false},
		{"/auth/login", module + "/internal/scylla", false},
		{"/internal/keycloaktest", "testing", true},
		{"/internal/keycloaktest", module + "/auth/jwt", false},
		{"/internal/pinningsuite", module + "/internal/cqltest/child", true},
		{"/internal/pinningsuite", module + "/internal/e2e", false},
		{"/internal/chromium", "github.com/chromedp/chromedp", false},
		{"/auth/jwt", module + "/internal/keycloaktest", false},
		{"/auth/peerapi", upstream + "/api", false},
		{"/auth/peerapi", module + "/peer/status", false},
		{"/auth/limits", module + "/auth/principal", false},
		{"/auth/pins", module + "/internal/scylla", true},
		{"/auth/pins", module + "/auth/peerapi", false},
		{"/auth/pins", module + "/scyllastate", false},
		{"/billing/money", module + "/internal/nearest", true},
		{"/billing/money", module + "/billing/plan", false},
		{"/billing/plan", module + "/billing/money", true},
		{"/billing/plan", "github.com/cockroachdb/apd/v3", false},
		{"/billing/plan", module + "/internal/scylla", false},
		{"/billing/plan", module + "/auth/pins", false},
		{"/billing/rails", "math/big", true},
		{"/billing/rails", module + "/internal/scylla", false},
		{"/billing/rails/railstest", module + "/billing/rails", true},
		{"/billing/rails/stripe", "github.com/stripe/stripe-go/v82/webhook", true},
		{"/billing/rails/stripe", module + "/internal/scylla", false},
		{"/billing/rails/stripe", module + "/billing/rails/stripe/stripefake", false},
		{"/billing/rails/stripe/stripefake", "github.com/stripe/stripe-go/v82", false},
		{"/billing/invoice", module + "/billing/money", true},
		{"/billing/invoice", "github.com/go-pdf/fpdf", true},
		{"/billing/invoice", module + "/billing/plan", false},
		{"/billing/invoice", module + "/internal/scylla", false},
		{"/billing/invoice", module + "/auth/pins", false},
		{"/billing/invoice", "golang.org/x/net/html", false},
		{"/billing/usage", "math/big", true},
		{"/billing/usage", module + "/billing/usage/integral", false},
		{"/billing/usage", module + "/events", false},
		{"/billing/usage", "github.com/cockroachdb/apd/v3", false},
		{"/billing/usage/integral", "math/big", true},
		{"/billing/usage/integral", module + "/billing/usage", false},
		{"/billing/usage/integral", module + "/billing/claim", false},
		{"/billing/usage/integral", module + "/events", false},
		{"/billing/claim", module + "/events", true},
		{"/billing/claim", module + "/billing/usage", true},
		{"/billing/claim", module + "/billing/usage/integral", false},
		{"/billing/claim", module + "/events/consume", false},
		{"/billing/claim", module + "/auth/pins", false},
		{"/billing/keyspace", module + "/internal/cqlsection", true},
		{"/billing/keyspace", module + "/auth/keyspace", false},
		{"/billing/keyspace/schema", "github.com/gocql/gocql", false},
		{"/billing/ledger", module + "/billing/claim", true},
		{"/billing/ledger", module + "/billing/keyspace", false},
		{"/billing/ledger", module + "/billing/ingest", false},
		{"/billing/ledger", module + "/events/claims", false},
		{"/billing/ingest", module + "/billing/ledger", true},
		{"/billing/ingest", module + "/internal/scylla", false},
		{"/billing/ingest", "github.com/gocql/gocql", false},
		{"/billing/ingest", "github.com/nats-io/nats.go", false},
		{"/billing/rails/erc20", module + "/billing/rails/evm", true},
		{"/billing/rails/erc20", "github.com/decred/dcrd/dcrec/secp256k1/v4", false},
		{"/billing/rails/evm", "github.com/ethereum/go-ethereum/ethclient", false},
		{"/billing/rails/filecoinpay", "github.com/ethereum/go-ethereum/crypto", false},
		{"/billing/closing", module + "/billing/ledger", true},
		{"/billing/closing", module + "/billing/ingest", false},
		{"/billing/closing", module + "/auth/pins", false},
		{"/billing/closing", "github.com/gocql/gocql", false},
		{"/billing/money", module + "/internal/nearest", true},
		{"/billing/money", module + "/billing/plan", false},
		{"/billing/plan", module + "/billing/money", true},
		{"/billing/plan", "github.com/cockroachdb/apd/v3", false},
		{"/billing/plan", module + "/internal/scylla", false},
		{"/billing/plan", module + "/auth/pins", false},
		{"/billing/rails", "math/big", true},
		{"/billing/rails", module + "/internal/scylla", false},
		{"/billing/rails/railstest", module + "/billing/rails", true},
		{"/billing/rails/stripe", "github.com/stripe/stripe-go/v82/webhook", true},
		{"/billing/rails/stripe", module + "/internal/scylla", false},
		{"/billing/rails/stripe", module + "/billing/rails/stripe/stripefake", false},
		{"/billing/rails/stripe/stripefake", "github.com/stripe/stripe-go/v82", false},
		{"/billing/invoice", module + "/billing/money", true},
		{"/billing/invoice", "github.com/go-pdf/fpdf", true},
		{"/billing/invoice", module + "/billing/plan", false},
		{"/billing/invoice", module + "/internal/scylla", false},
		{"/billing/invoice", module + "/auth/pins", false},
		{"/billing/invoice", "golang.org/x/net/html", false},
		{"/billing/notice", module + "/events", false},
		{"/billing/notice/told", module + "/events/bus", true},
		{"/billing/notice/told", module + "/billing/invoicing", false},
		{"/billing/invoicing", module + "/billing/rails", true},
		{"/billing/invoicing", module + "/billing/rails/stripe", false},
		{"/billing/invoicing", module + "/billing/ledger", false},
		{"/billing/invoicing", module + "/events/bus", false},
		{"/billing/invoicing", module + "/auth/pins", false},
		{"/billing/closing", module + "/billing/ledger", true},
		{"/billing/closing", module + "/billing/ingest", false},
		{"/billing/closing", module + "/auth/pins", false},
		{"/billing/closing", "github.com/gocql/gocql", false},
		{"/billing/config", module + "/billing/plan", true},
		{"/billing/api", module + "/billing/ledger", true},
		{"/billing/api", module + "/auth/door", false},
		{"/billing/api", "github.com/gocql/gocql", false},
		{"/billing/service", module + "/billing/api", true},
		{"/billing/service", module + "/auth/gateway", false},
		{"/internal/problemjson", module + "/auth/door", false},
		{"/billing/config", module + "/billing/ledger", false},
		{"/billing/config", module + "/auth/config", false},
		{"/internal/settings", module + "/auth/config", false},
		{"/internal/httpserver", module + "/auth/gateway", false},
		{"/internal/scylla", module + "/scyllastate", false},
		{"/internal/scylla", upstream + "/api", false},
		{"/internal/cqltest", "testing", true},
		{"/internal/cqltest/engine", "testing", false},
		{"/internal/cqltest/engine", module + "/state", false},
		{"/internal/cqltest", module + "/internal/cqltest/scyllaface", true},
		{"/internal/cqltest/engine", module + "/internal/cqltest/scyllaface", false},
		{"/internal/cqltest/scyllaface", module + "/internal/cqltest/engine", false},
		{"/internal/cqltest/scyllaface", "github.com/gocql/gocql", false},
		{"/bench", module + "/internal/cqltest/scyllaface", false},
		{"/internal/e2e", module + "/scyllastate", false},
		{"/internal/cli/service", module + "/scyllastate", true},
		{"/internal/cli/service", module + "/internal/cqltest", false},
		{"/internal/cli/service", module + "/state/statetest", false},
		{"/internal/cli/gateway", module + "/auth/config", true},
		{"/internal/cli/gateway", module + "/internal/configpage", false},
		{"/cmd/ipfs-cluster-service", module + "/internal/cli/service", true},
		{"/cmd/ipfs-cluster-service", module + "/scyllastate", false},
		{"/cmd/ipfs-cluster-service", "github.com/urfave/cli", false},
		{"/util", "strings", false},
	} {
		problems := checkImports(goPackage{ImportPath: module + test.pkg, Imports: []string{test.imported}})
		if (len(problems) == 0) != test.ok {
			t.Errorf("%q importing %s: allowed should be %v, got %q", test.pkg, test.imported, test.ok, problems)
		}
	}
}
