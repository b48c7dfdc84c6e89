package routes

import "slices"

// Class says how far a route goes.
type Class string

const (
	// Open needs no principal.
	Open Class = "open"
	// Read changes nothing.
	Read Class = "read"
	// Write changes what is one tenant's. It is recorded before it is done.
	Write Class = "write"
	// Administer is for those who run the cluster, or see how their tenant is run. Its changes
	// are recorded as those of Write.
	Administer Class = "admin"
)

// Handling is what the gateway does with a request.
type Handling string

const (
	// Serve answers from the gateway's own tables, or by its own code around the peer.
	Serve Handling = "serve"
	// Proxy sends the request to the peer.
	Proxy Handling = "proxy"
	// Refuse answers 403 with Why, whoever asks.
	Refuse Handling = "refuse"
)

// Object is what a route does something to, which the decision is about.
type Object string

// The kinds of objects.
const (
	NoObject      Object = ""
	PinObject     Object = "pin"
	TenantObject  Object = "tenant"
	ClusterObject Object = "cluster"
	KeyObject     Object = "key"
)

// Route is one thing a client can ask for.
type Route struct {
	// Name is upstream's.
	Name   string
	Method string
	// Pattern is a path. {name} is one segment, {name:a|b} one of these segments, and
	// {name:.*} one segment or more, at the end.
	Pattern string
	Class   Class
	// Action is the action of authz that must be allowed, "" for Open and Refuse.
	Action string
	Object Object
	Does   Handling
	// Why is told the client of what is refused.
	Why string
	// Vars are the segments by their names, in what Match returns.
	Vars map[string]string
}

// Mutates tells whether the route changes anything, so that it is recorded before it
// is done.
func (r Route) Mutates() bool { return r.Method != "GET" && r.Does != Refuse }

// Table is a list of routes. Of two that match the first counts.
type Table struct {
	routes []Route
	parsed [][]segment
}

// Routes returns all routes, in their order.
func (t *Table) Routes() []Route { return slices.Clone(t.routes) }

func newTable(routes []Route) *Table {
	t := &Table{routes: routes}
	for _, r := range routes {
		t.parsed = append(t.parsed, parsePattern(r.Pattern))
	}
	return t
}

const (
	whyToken = "tokens of the peer never expire and are not a tenant's: log in at the gateway, or take an API key"
	whyPath  = "a path is resolved only while it is pinned, so nobody could be recorded as the owner before: resolve it and pin the CID"
)

// Native returns the routes of ipfs-cluster's REST API v1.1.6, in upstream's order, which
// decides between patterns that overlap.
func Native() *Table {
	return newTable([]Route{
		{Name: "ID", Method: "GET", Pattern: "/id", Class: Administer, Action: "admin:cluster-read", Object: ClusterObject, Does: Proxy},
		{Name: "Version", Method: "GET", Pattern: "/version", Class: Administer, Action: "admin:cluster-read", Object: ClusterObject, Does: Proxy},
		{Name: "Peers", Method: "GET", Pattern: "/peers", Class: Administer, Action: "admin:cluster-read", Object: ClusterObject, Does: Proxy},
		{Name: "PeerAdd", Method: "POST", Pattern: "/peers", Class: Administer, Action: "admin:cluster-write", Object: ClusterObject, Does: Proxy},
		{Name: "PeerRemove", Method: "DELETE", Pattern: "/peers/{peer}", Class: Administer, Action: "admin:cluster-write", Object: ClusterObject, Does: Proxy},
		{Name: "Add", Method: "POST", Pattern: "/add", Class: Write, Action: "pins:create", Object: PinObject, Does: Serve},
		{Name: "Allocations", Method: "GET", Pattern: "/allocations", Class: Read, Action: "pins:list", Object: TenantObject, Does: Serve},
		{Name: "Allocation", Method: "GET", Pattern: "/allocations/{hash}", Class: Read, Action: "pins:read", Object: PinObject, Does: Serve},
		{Name: "StatusAll", Method: "GET", Pattern: "/pins", Class: Read, Action: "status:read", Object: TenantObject, Does: Serve},
		{Name: "Recover", Method: "POST", Pattern: "/pins/{hash}/recover", Class: Administer, Action: "admin:cluster-write", Object: ClusterObject, Does: Proxy},
		{Name: "RecoverAll", Method: "POST", Pattern: "/pins/recover", Class: Administer, Action: "admin:cluster-write", Object: ClusterObject, Does: Proxy},
		{Name: "Status", Method: "GET", Pattern: "/pins/{hash}", Class: Read, Action: "status:read", Object: PinObject, Does: Serve},
		{Name: "Pin", Method: "POST", Pattern: "/pins/{hash}", Class: Write, Action: "pins:create", Object: PinObject, Does: Serve},
		{Name: "PinPath", Method: "POST", Pattern: "/pins/{keyType:ipfs|ipns|ipld}/{path:.*}", Class: Write, Object: PinObject, Does: Refuse, Why: whyPath},
		{Name: "Unpin", Method: "DELETE", Pattern: "/pins/{hash}", Class: Write, Action: "pins:delete", Object: PinObject, Does: Serve},
		{Name: "UnpinPath", Method: "DELETE", Pattern: "/pins/{keyType:ipfs|ipns|ipld}/{path:.*}", Class: Write, Object: PinObject, Does: Refuse, Why: whyPath},
		{Name: "RepoGC", Method: "POST", Pattern: "/ipfs/gc", Class: Administer, Action: "admin:cluster-write", Object: ClusterObject, Does: Proxy},
		{Name: "ConnectionGraph", Method: "GET", Pattern: "/health/graph", Class: Administer, Action: "admin:cluster-read", Object: ClusterObject, Does: Proxy},
		{Name: "Alerts", Method: "GET", Pattern: "/health/alerts", Class: Administer, Action: "admin:cluster-read", Object: ClusterObject, Does: Proxy},
		{Name: "Bandwidth by protocol stats", Method: "GET", Pattern: "/health/bandwidth", Class: Administer, Action: "admin:cluster-read", Object: ClusterObject, Does: Proxy},
		{Name: "Metrics", Method: "GET", Pattern: "/monitor/metrics/{name}", Class: Administer, Action: "admin:cluster-read", Object: ClusterObject, Does: Proxy},
		{Name: "MetricNames", Method: "GET", Pattern: "/monitor/metrics", Class: Administer, Action: "admin:cluster-read", Object: ClusterObject, Does: Proxy},
		{Name: "GetToken", Method: "POST", Pattern: "/token", Class: Write, Object: NoObject, Does: Refuse, Why: whyToken},
		{Name: "Health", Method: "GET", Pattern: "/health", Class: Open, Object: NoObject, Does: Serve},
	})
}

// Pinning returns the routes of the Pinning Services API v1.0.0, with the two that
// ipfs-cluster has beside them.
func Pinning() *Table {
	return newTable([]Route{
		{Name: "ListPins", Method: "GET", Pattern: "/pins", Class: Read, Action: "pins:list", Object: TenantObject, Does: Serve},
		{Name: "AddPin", Method: "POST", Pattern: "/pins", Class: Write, Action: "pins:create", Object: PinObject, Does: Serve},
		{Name: "GetPin", Method: "GET", Pattern: "/pins/{requestID}", Class: Read, Action: "pins:read", Object: PinObject, Does: Serve},
		{Name: "ReplacePin", Method: "POST", Pattern: "/pins/{requestID}", Class: Write, Action: "pins:replace", Object: PinObject, Does: Serve},
		{Name: "RemovePin", Method: "DELETE", Pattern: "/pins/{requestID}", Class: Write, Action: "pins:delete", Object: PinObject, Does: Serve},
		{Name: "GetToken", Method: "POST", Pattern: "/token", Class: Write, Object: NoObject, Does: Refuse, Why: whyToken},
		{Name: "Health", Method: "GET", Pattern: "/health", Class: Open, Object: NoObject, Does: Serve},
	})
}

// Login returns the routes by which a client exchanges a proof for a session, and ends one.
// They are open: who asks has yet to prove who it is, or wants to be nobody again.
func Login() *Table {
	return newTable([]Route{
		{Name: "DIDChallenge", Method: "POST", Pattern: "/auth/did/challenge", Class: Open, Object: NoObject, Does: Serve},
		{Name: "DIDToken", Method: "POST", Pattern: "/auth/did/token", Class: Open, Object: NoObject, Does: Serve},
		{Name: "SIWENonce", Method: "GET", Pattern: "/auth/siwe/nonce", Class: Open, Object: NoObject, Does: Serve},
		{Name: "SIWEVerify", Method: "POST", Pattern: "/auth/siwe/verify", Class: Open, Object: NoObject, Does: Serve},
		{Name: "OIDCLogin", Method: "GET", Pattern: "/auth/oidc/login", Class: Open, Object: NoObject, Does: Serve},
		{Name: "OIDCCallback", Method: "GET", Pattern: "/auth/oidc/callback", Class: Open, Object: NoObject, Does: Serve},
		{Name: "Logout", Method: "POST", Pattern: "/auth/logout", Class: Open, Object: NoObject, Does: Serve},
	})
}
