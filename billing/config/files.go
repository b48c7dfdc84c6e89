package config

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/nearest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/settings"
)

// Files is what is in the files that a configuration names. Printing it shows nothing of it.
type Files struct {
	// Certificate is that of TLS, nil without one.
	Certificate *tls.Certificate
	// Token is that of the gateway, OperatorToken that of operators, empty for none.
	Token, OperatorToken string
	// GatewayToken is that for the gateway's export, empty for none.
	GatewayToken string
	// Book has the price lists, nil if there is no folder.
	Book *plan.Book
	// Buyers are who owners are on paper.
	Buyers map[string]Buyer
}

// Buyer is who an owner is on paper.
type Buyer struct {
	Name    string   `json:"name"`
	Address []string `json:"address"`
	TaxID   string   `json:"tax_id,omitempty"`
	Contact string   `json:"contact,omitempty"`
	// Region is the name of one of Invoices.Regions.
	Region string `json:"region"`
	// Notes are lines for the invoice, as the number of an order.
	Notes []string `json:"notes,omitempty"`
}

// Format writes nothing of what is in the files, whatever the verb.
func (Files) Format(f fmt.State, _ rune) { fmt.Fprint(f, "the files of a configuration") }

// Read reads the files of a configuration that is valid. The error is settings.Problems, with all
// files that cannot be used. Those of Database, Events and of the rails are read by who connects to
// them; it is only looked whether they can be used.
func (c Config) Read() (Files, error) {
	r := &reader{Files: settings.Files{Folder: c.Folder, Live: true}}
	f := Files{Token: r.token("token_file", c.TokenFile)}
	if c.OperatorTokenFile != "" {
		if f.OperatorToken = r.token("operator_token_file", c.OperatorTokenFile); f.OperatorToken != "" && f.OperatorToken == f.Token {
			r.Problems.Add("operator_token_file", "has the token of token_file: the gateway asks for owners, operators see all of them; make another")
		}
	}
	if c.TLS.CertFile != "" {
		f.Certificate = r.Certificate(c.TLS.CertFile, c.TLS.KeyFile)
	}
	if c.Gateway.TokenFile != "" {
		f.GatewayToken = r.Password("gateway.token_file", c.Gateway.TokenFile)
	}
	if c.Gateway.CAFile != "" {
		r.Authorities("gateway.ca_file", c.Gateway.CAFile)
	}
	if c.Database.PasswordFile != "" {
		r.Password("database.password_file", c.Database.PasswordFile)
	}
	if c.Plans.Folder != "" {
		f.Book = r.book(c.Plans)
	}
	if c.Invoices.BuyersFile != "" {
		f.Buyers = r.buyers(c.Invoices)
	}
	for _, other := range c.others() {
		if other.file != "" {
			r.Read(other.field, other.file, other.secret)
		}
	}
	if err := r.Problems.Err(); err != nil {
		return Files{}, err
	}
	return f, nil
}

// other is a file that somebody else reads.
type other struct {
	field, file string
	secret      bool
}

func (c Config) others() []other {
	all := []other{
		{"database.tls.ca_file", c.Database.TLS.CAFile, false}, {"database.tls.cert_file", c.Database.TLS.CertFile, false},
		{"database.tls.key_file", c.Database.TLS.KeyFile, true},
		{"events.credentials_file", c.Events.CredentialsFile, true}, {"events.nkey_file", c.Events.NKeyFile, true},
		{"events.ca_file", c.Events.CAFile, false}, {"events.cert_file", c.Events.CertFile, false}, {"events.key_file", c.Events.KeyFile, true},
		{"stripe.key_file", c.Stripe.KeyFile, true}, {"stripe.webhook_secret_file", c.Stripe.WebhookSecretFile, true},
		{"filecoin.operator_key_file", c.Filecoin.OperatorKeyFile, true},
	}
	for i, chain := range c.Chains {
		field := fmt.Sprintf("chains[%d].", i)
		all = append(all, other{field + "rpc_key_file", chain.RPCKeyFile, true}, other{field + "second_rpc_key_file", chain.SecondRPCKeyFile, true})
	}
	return all
}

// reader reads files and notes those that cannot be used.
type reader struct{ settings.Files }

// token returns a token that is long enough that nobody guesses it.
func (r *reader) token(field, file string) string {
	before := len(r.Problems)
	token := r.Password(field, file)
	if len(r.Problems) == before && !regexp.MustCompile(`^[A-Za-z0-9._~+/=-]{32,512}$`).MatchString(token) {
		r.Problems.Add(field, "names %s, which is not one line of 32 or more letters and digits: make one with openssl rand -hex 32", r.Resolve(file))
		return ""
	}
	return token
}

// book reads the price lists.
func (r *reader) book(plans Plans) *plan.Book {
	files, err := ReadPlans(r.Resolve(plans.Folder))
	if err != nil {
		r.Problems.Add("plans.folder", "cannot be used: %v", err)
		return nil
	}
	book, err := plan.NewBook(files, nil)
	if err != nil {
		r.Problems.Add("plans.folder", "has plans that cannot be used, see \"pin-billing plan lint %s\": %v", r.Resolve(plans.Folder), err)
		return nil
	}
	var names []string
	for _, p := range book.Plans() {
		names = append(names, p.Name())
	}
	if plans.Default != "" && !slices.Contains(names, plans.Default) {
		r.Problems.Add("plans.default", "%.100q is in none of the files of %s: %s", plans.Default, r.Resolve(plans.Folder), meant(plans.Default, names))
	}
	return book
}

// ReadPlans returns the files of a folder with price lists, of which there is at least one.
func ReadPlans(folder string) ([]plan.File, error) {
	files, err := plan.ReadFolder(os.DirFS(folder))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s has no file that ends in .yaml, .yml or .json", folder)
	}
	return files, err
}

// buyers reads who owners are on paper.
func (r *reader) buyers(i Invoices) map[string]Buyer {
	const field = "invoices.buyers_file"
	text := r.Read(field, i.BuyersFile, true)
	if text == nil {
		return nil
	}
	buyers, err := ParseBuyers(text)
	if err != nil {
		r.Problems.Add(field, "names %s, which cannot be used: %v", r.Resolve(i.BuyersFile), err)
		return nil
	}
	names := i.regionNames()
	for _, owner := range slices.Sorted(maps.Keys(buyers)) {
		b := buyers[owner]
		switch {
		case b.Name == "" || len(b.Address) == 0:
			r.Problems.Add(field, "has no name or no address of %.100q: write both", owner)
		case !slices.Contains(names, b.Region):
			r.Problems.Add(field, "has the tax region %.100q of %.100q, which is not in invoices.regions: %s", b.Region, owner, meant(b.Region, names))
		}
	}
	return buyers
}

// ParseBuyers reads who owners are on paper. What is not known is an error.
func ParseBuyers(text []byte) (map[string]Buyer, error) {
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	var buyers map[string]Buyer
	if err := dec.Decode(&buyers); err != nil {
		return nil, fmt.Errorf("it is not a JSON object of buyers by owners: %w", err)
	}
	if dec.More() {
		return nil, fmt.Errorf("something follows the JSON object")
	}
	return buyers, nil
}

// meant is the advice for a name that there is not.
func meant(name string, known []string) string {
	if near := nearest.Names(name, known); len(near) > 0 {
		return "did you mean " + strings.Join(near, " or ") + "?"
	}
	return "correct it"
}
