package config

import (
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqlsection"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/settings"
)

// FileName is that of the configuration unless told otherwise.
const FileName = "pin-billing.json"

// Config is what one instance of the billing service is told. All instances have the same, but for
// Listen, MetricsListen and what names a place near them. Names of files are relative to Folder.
type Config struct {
	// Listen is the address on which the gateway asks, and a port, of which 0 is a free one:
	// "host:port". Nobody else should reach it.
	Listen string `json:"listen"`
	// MetricsListen is the address on which it tells metrics at /metrics, whether it is ready at
	// /readyz, and profiles of it below /debug/pprof/, without encryption, to all who reach it:
	// "host:port", or "0.0.0.0:port" for all addresses of this machine. Empty means that it
	// tells nothing.
	MetricsListen string `json:"metrics_listen,omitempty"`
	// ShutdownDelay is how long it serves on when it was told to end, while /health answers 503.
	// Up to "5m". "0s" ends at once.
	ShutdownDelay Duration `json:"shutdown_delay"`
	// TLS is what it encrypts connections of the gateway with.
	TLS TLS `json:"tls"`
	// PlainHTTP takes the token of the gateway without encryption also from other machines: for
	// a network that nobody else is in.
	PlainHTTP bool `json:"plain_http,omitempty"`
	// TokenFile is a file with the token by which the gateway is known: one line of 32 or more
	// letters and digits, as "openssl rand -hex 32" writes.
	TokenFile string `json:"token_file"`
	// OperatorTokenFile is a file with the token of operators, who see all owners. Empty means
	// that nobody does.
	OperatorTokenFile string `json:"operator_token_file,omitempty"`
	// Database is billing's own keyspace.
	Database cqlsection.Config `json:"database"`
	// Events are where the gateway tells of claims, and the cluster of pins.
	Events Events `json:"events"`
	// Claims are what is counted of a claim. It stays the same for claims that were counted.
	Claims Claims `json:"claims"`
	// Close is when days are closed.
	Close Close `json:"close"`
	// Plans are the price lists.
	Plans Plans `json:"plans"`
	// Invoices are what is on them.
	Invoices Invoices `json:"invoices"`
	// Gateway is where its export of claims is, for a comparison.
	Gateway Gateway `json:"gateway"`
	// Stripe collects money by Stripe.
	Stripe Stripe `json:"stripe"`
	// Chains are those on which tokens are received. Empty means none.
	Chains []Chain `json:"chains"`
	// Filecoin charges by Filecoin Pay.
	Filecoin Filecoin `json:"filecoin"`

	// Folder is where names of files start that are not absolute. Load sets it to the folder
	// of the file. Empty means the working directory.
	Folder string `json:"-"`
}

// TLS is a certificate and its key.
type TLS struct {
	// CertFile is a file with a certificate and those between it and its authority, in PEM
	// format. It is set together with TLS.KeyFile or not at all.
	CertFile string `json:"cert_file,omitempty"`
	// KeyFile is a file with the key of that certificate, in PEM format.
	KeyFile string `json:"key_file,omitempty"`
}

// Events are where the gateway tells of claims, and the cluster of pins.
type Events struct {
	// URLs are those of NATS servers, as "nats://host:4222", or "tls://host:4222".
	URLs []string `json:"urls"`
	// Cluster is the name of the cluster whose claims they are.
	Cluster string `json:"cluster"`
	// Prefix is what the streams and subjects of the cluster begin with. Empty means
	// "ipfs-cluster".
	Prefix string `json:"prefix,omitempty"`
	// Consumer is the name under which all instances share the claims: at most 64 letters,
	// digits, dashes and underscores. Under another name all claims are read again, which
	// changes nothing.
	Consumer string `json:"consumer"`
	// Sizes also reads the sizes that peers tell in the events of the cluster, for claims of which
	// the gateway tells none. No day is closed before those until its end were read, so that it
	// is false where the cluster tells no events.
	Sizes bool `json:"sizes"`
	// CredentialsFile is a file of NATS credentials, with a JWT and a seed.
	CredentialsFile string `json:"credentials_file,omitempty"`
	// NKeyFile is a file with the seed of an NKey, in place of Events.CredentialsFile.
	NKeyFile string `json:"nkey_file,omitempty"`
	// CAFile is a file with the certificates of the authorities that are accepted, in PEM
	// format. Empty means those of the operating system.
	CAFile string `json:"ca_file,omitempty"`
	// CertFile is a file with billing's own certificate, in PEM format. It is set together with
	// Events.KeyFile or not at all.
	CertFile string `json:"cert_file,omitempty"`
	// KeyFile is a file with the key of that certificate, in PEM format.
	KeyFile string `json:"key_file,omitempty"`
}

// Claims are what is counted of a claim.
type Claims struct {
	// Since is when billing began, at midnight in UTC, as "2026-12-01T00:00:00Z": what was held
	// before is counted from then on, and the first day that is closed is this one. It is never
	// changed.
	Since time.Time `json:"since,omitzero"`
	// Start is when a claim begins to count: "accepted" when the gateway accepted it, "pinned"
	// when its content was first seen pinned.
	Start string `json:"start"`
	// Replicas is which copies count: "requested" for as many as were asked for, "single" for
	// one.
	Replicas string `json:"replicas"`
	// DefaultReplicas is how many copies count of a claim that asks for as many as the cluster
	// makes by default.
	DefaultReplicas int `json:"default_replicas"`
	// AllReplicas is how many copies count of a claim that asks for one at every peer.
	AllReplicas int `json:"all_replicas"`
	// MaxSize is the largest content that is believed, in bytes of one copy. What says to be
	// larger is put into the quarantine. 0 means any.
	MaxSize int64 `json:"max_size"`
	// Window is how old something may be that was not told before. What is older is put into
	// the quarantine. "0s" means any age.
	Window Duration `json:"window"`
}

// Policy returns what package claim is told.
func (c Claims) Policy() claim.Policy {
	return claim.Policy{
		Start: c.Start, Replicas: c.Replicas, DefaultReplicas: c.DefaultReplicas, AllReplicas: c.AllReplicas,
		Since: c.Since, MaxSize: c.MaxSize, Window: time.Duration(c.Window),
	}
}

// Close is when days are closed.
type Close struct {
	// Grace is how long after its end a day is closed at the earliest, "10m" or more.
	Grace Duration `json:"grace"`
	// Window is how long after a day something late still corrects it, longer than
	// Claims.Window. What is later is put into the quarantine. "0s" means for ever.
	Window Duration `json:"window"`
	// Every is how often it is looked whether a day can be closed, and what came late.
	Every Duration `json:"every"`
	// Parallel is how many owners an instance works on at a time.
	Parallel int `json:"parallel"`
}

// Plans are the price lists.
type Plans struct {
	// Folder is one with price lists, in files that end in .yaml, .yml or .json. Empty means
	// that there are none: usage is shown, and no prices.
	Folder string `json:"folder,omitempty"`
	// Default is the name of the plan of owners who were given none. Empty means that they have
	// no prices.
	Default string `json:"default,omitempty"`
}

// Gateway is where its export of claims is.
type Gateway struct {
	// URL is that of a gateway, as "https://pins.example.com", without a path. Empty means that
	// nothing is compared.
	URL string `json:"url,omitempty"`
	// TokenFile is a file with an API key of an operator, whose scopes are admin:tenants-list
	// and admin:claims-read.
	TokenFile string `json:"token_file,omitempty"`
	// CAFile is a file with the certificates of the authorities that are accepted, in PEM
	// format. Empty means those of the operating system.
	CAFile string `json:"ca_file,omitempty"`
	// Every is how often it is compared, by one of all instances, from an hour on.
	Every Duration `json:"every"`
}

// Invoices are what is on them.
type Invoices struct {
	// Seller is who sends them.
	Seller Seller `json:"seller"`
	// Series begins the numbers of invoices, as "2026": at most 20 capital letters, digits and
	// dashes. Numbers of a series have no gaps. It may be another one each year.
	Series string `json:"series"`
	// CreditSeries begins the numbers of credit notes. It is not Invoices.Series.
	CreditSeries string `json:"credit_series"`
	// DueDays is how many days there are from the date of an invoice until it is due, up to 180.
	DueDays int `json:"due_days"`
	// MostUnsized is of how many pins the size may be unknown in a month that is invoiced: they
	// cost less than they will. More holds the invoice. -1 means any number.
	MostUnsized int64 `json:"most_unsized"`
	// Regions are the tax regions of buyers.
	Regions []Region `json:"regions"`
	// BuyersFile is a file with who owners are on paper: a JSON object with a member for each
	// owner, as {"acme": {"name": "ACME Inc.", "address": ["1 Road"], "region": "DE"}}. An owner
	// who is not there gets no invoice. Empty means that there are no invoices.
	BuyersFile string `json:"buyers_file,omitempty"`
}

// Seller is who sends invoices.
type Seller struct {
	// Name is the legal name.
	Name string `json:"name,omitempty"`
	// Address has a line for each of an envelope.
	Address []string `json:"address"`
	// TaxID is the number that an authority knows the seller by.
	TaxID string `json:"tax_id,omitempty"`
	// Contact is how the seller is reached: an address of mail, a telephone number.
	Contact string `json:"contact,omitempty"`
}

// Region is a tax region.
type Region struct {
	// Name is any name, as "DE".
	Name string `json:"region"`
	// Treatment is "standard", "exempt" or "reverse_charge". Empty means
	// "standard".
	Treatment string `json:"treatment,omitempty"`
	// Rates are the taxes of the standard treatment.
	Rates []Rate `json:"rates,omitempty"`
	// Note is shown beside. It is needed, but with the standard treatment.
	Note string `json:"note,omitempty"`
	// Rounding is how taxes are rounded. Empty means "half_up".
	Rounding string `json:"rounding,omitempty"`
}

// Rate is one tax.
type Rate struct {
	// Name is what is on the invoice, as "VAT".
	Name string `json:"name"`
	// Percent is a number as a text, as "19".
	Percent string `json:"percent"`
}

// Stripe collects money by Stripe.
type Stripe struct {
	// KeyFile is a file with the API key, best a restricted one. Empty means that Stripe is not
	// used.
	KeyFile string `json:"key_file,omitempty"`
	// WebhookSecretFile is a file with the secret by which webhooks are signed.
	WebhookSecretFile string `json:"webhook_secret_file,omitempty"`
	// WebhookListen is the address on which Stripe's webhooks come in, at /stripe, through a
	// proxy that encrypts. Empty means that none do, and payments are asked for.
	WebhookListen string `json:"webhook_listen,omitempty"`
}

// Chain is one on which tokens are received.
type Chain struct {
	// Name is how people call it, as "base".
	Name string `json:"name"`
	// ChainID is its number, as 8453. A node of another chain is refused.
	ChainID uint64 `json:"chain_id"`
	// RPCURL is where a node answers JSON-RPC. {key} in it stands for what is in rpc_key_file.
	RPCURL string `json:"rpc_url"`
	// RPCKeyFile is a file with the key of the node.
	RPCKeyFile string `json:"rpc_key_file,omitempty"`
	// SecondRPCURL is another node, of somebody else, which must say the same. Empty means none.
	SecondRPCURL string `json:"second_rpc_url,omitempty"`
	// SecondRPCKeyFile is a file with its key.
	SecondRPCKeyFile string `json:"second_rpc_key_file,omitempty"`
	// Confirmations is how many blocks must follow one until it is final. 0 takes what the node
	// calls finalized.
	Confirmations uint64 `json:"confirmations,omitempty"`
	// StartBlock is the first block that is read. 0 begins where the chain is.
	StartBlock uint64 `json:"start_block,omitempty"`
	// Address is what payers send to. Whose key it is does not matter here.
	Address string `json:"address"`
	// AlsoWatch are addresses that were asked to be paid at before.
	AlsoWatch []string `json:"also_watch,omitempty"`
	// Tokens are those that invoices are paid with.
	Tokens []Token `json:"tokens"`
}

// Token is one that invoices are paid with.
type Token struct {
	// Name is how people call it, as "USDC".
	Name string `json:"name"`
	// Address is that of its contract.
	Address string `json:"address"`
	// Decimals is what its contract says of that.
	Decimals int `json:"decimals"`
	// Currency is that of the invoices which it pays, one for one, as "USD".
	Currency string `json:"currency"`
}

// Filecoin charges by Filecoin Pay.
type Filecoin struct {
	// OperatorKeyFile is a file with the private key of the operator: 64 hexadecimal digits. It
	// can take from payers what they have allowed it. Empty means that nothing is charged.
	OperatorKeyFile string `json:"operator_key_file,omitempty"`
	// RPCURL is where a node of Filecoin answers JSON-RPC.
	RPCURL string `json:"rpc_url,omitempty"`
	// ChainID is 314 for the main network and 314159 for Calibration.
	ChainID uint64 `json:"chain_id,omitempty"`
	// Contract is the address of FilecoinPayV1.
	Contract string `json:"contract,omitempty"`
	// Payee is the address that a rail must pay: the operator's own.
	Payee string `json:"payee,omitempty"`
	// Token is what is charged.
	Token Token `json:"token"`
	// MaxFeeGwei is the most that a unit of gas may cost, in 10⁻⁹ FIL. Above that charges wait.
	// 0 means any price.
	MaxFeeGwei uint64 `json:"max_fee_gwei,omitempty"`
}

// Default returns what a field is that nobody has set. It is not complete: it does not say since
// when claims count, nor where they are told.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:9100", ShutdownDelay: Duration(5 * time.Second), TokenFile: "gateway-token",
		Database: keyspace.Default(),
		Events:   Events{URLs: []string{}, Consumer: "billing", Sizes: true},
		Claims: Claims{
			Start: claim.StartAccepted, Replicas: claim.ReplicasRequested, DefaultReplicas: 1, AllReplicas: 1, MaxSize: 1 << 50,
			Window: Duration(30 * 24 * time.Hour),
		},
		Close: Close{
			Grace: Duration(6 * time.Hour), Window: Duration(35 * 24 * time.Hour), Every: Duration(10 * time.Minute), Parallel: 16,
		},
		Invoices: Invoices{Seller: Seller{Address: []string{}}, Series: "INV", CreditSeries: "CN", DueDays: 14, Regions: []Region{}},
		Chains:   []Chain{},
		Gateway:  Gateway{Every: Duration(24 * time.Hour)},
	}
}

// Resolve returns the name of a file as seen from the working directory. An empty name
// stays empty.
func (c Config) Resolve(file string) string { return settings.Resolve(c.Folder, file) }

// Duration is a time.Duration that is written as in "10s".
type Duration = cqlsection.Duration
