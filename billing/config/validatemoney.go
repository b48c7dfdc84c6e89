package config

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/settings"
)

// maxDueDays bounds Invoices.DueDays.
const maxDueDays = 180

func (c Config) checkInvoices(p *settings.Problems) {
	i := c.Invoices
	for _, s := range []struct{ field, name string }{{"invoices.series", i.Series}, {"invoices.credit_series", i.CreditSeries}} {
		if !regexp.MustCompile(`^[A-Z0-9][A-Z0-9-]{0,19}$`).MatchString(s.name) {
			p.Add(s.field, "%.100q cannot be used: use at most 20 capital letters, digits and dashes", s.name)
		}
	}
	if i.Series == i.CreditSeries {
		p.Add("invoices.credit_series", "is invoices.series, %.100q: their numbers would be the same; use another", i.Series)
	}
	if i.DueDays < 0 || i.DueDays > maxDueDays {
		p.Add("invoices.due_days", "%d cannot be used: use 0 to %d", i.DueDays, maxDueDays)
	}
	if i.MostUnsized < -1 {
		p.Add("invoices.most_unsized", "%d is negative: use 0 or more, or -1 for any number", i.MostUnsized)
	}
	if _, err := i.TaxRegions(); err != nil {
		p.Add("invoices.regions", "cannot be used, %v: correct them", err)
	}
	if i.BuyersFile == "" {
		return
	}
	if i.Seller.Name == "" {
		p.Add("invoices.seller.name", "is empty but invoices.buyers_file is set: say who sends the invoices")
	}
	if len(i.Seller.Address) == 0 {
		p.Add("invoices.seller.address", "is empty but invoices.buyers_file is set: write a line for each of an envelope")
	}
	if len(i.Regions) == 0 {
		p.Add("invoices.regions", "is empty but invoices.buyers_file is set: name at least one tax region")
	}
	if c.Plans.Folder == "" {
		p.Add("plans.folder", "is empty but invoices.buyers_file is set, and without prices there are no invoices: name a folder with plans")
	}
}

// TaxRegions returns the regions as package invoice has them, or what is wrong with them.
func (i Invoices) TaxRegions() (invoice.Regions, error) {
	var all invoice.Regions
	for _, r := range i.Regions {
		region := invoice.Region{Name: r.Name, Treatment: invoice.Treatment(r.Treatment), Note: r.Note, Rounding: money.Mode(r.Rounding)}
		for _, rate := range r.Rates {
			percent, err := invoice.ParseDecimal(rate.Percent)
			if err != nil {
				return nil, fmt.Errorf("the percent of %q in %q: %w", rate.Name, r.Name, err)
			}
			region.Rates = append(region.Rates, invoice.Rate{Name: rate.Name, Percent: percent})
		}
		all = append(all, region)
	}
	return all, all.Check()
}

func (c Config) checkRails(p *settings.Problems) {
	if c.Stripe.KeyFile == "" && (c.Stripe.WebhookSecretFile != "" || c.Stripe.WebhookListen != "") {
		p.Add("stripe.key_file", "is empty, and webhooks of Stripe are set: name a file with the API key, or remove them")
	}
	if (c.Stripe.WebhookListen == "") != (c.Stripe.WebhookSecretFile == "") {
		p.Add("stripe.webhook_secret_file", "and stripe.webhook_listen go together: set both, or none")
	}
	if c.Stripe.WebhookListen != "" {
		settings.CheckAddress(p, "stripe.webhook_listen", c.Stripe.WebhookListen, "127.0.0.1:9102")
	}
	seen := make(map[string]bool)
	for i, chain := range c.Chains {
		field := fmt.Sprintf("chains[%d]", i)
		checkChain(p, field, chain)
		if seen[chain.Name] {
			p.Add(field, "has the name %.100q of another: give it one of its own", chain.Name)
		}
		seen[chain.Name] = true
	}
	if f := c.Filecoin; f.OperatorKeyFile != "" {
		checkNode(p, "filecoin.rpc_url", f.RPCURL)
		if f.ChainID == 0 {
			p.Add("filecoin.chain_id", "is 0: use 314 for the main network")
		}
		checkHex(p, "filecoin.contract", f.Contract)
		checkHex(p, "filecoin.payee", f.Payee)
		checkToken(p, "filecoin.token", f.Token)
	} else if f != (Filecoin{}) {
		p.Add("filecoin.operator_key_file", "is empty, so that nothing is charged: name the file of the key, or remove the section")
	}
}

func checkChain(p *settings.Problems, field string, chain Chain) {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`).MatchString(chain.Name) {
		p.Add(field+".name", "%.100q cannot be used: use at most 32 lower-case letters, digits and dashes", chain.Name)
	}
	if chain.ChainID == 0 {
		p.Add(field+".chain_id", "is 0: write its number, as 8453")
	}
	checkNode(p, field+".rpc_url", chain.RPCURL)
	if chain.SecondRPCURL != "" {
		checkNode(p, field+".second_rpc_url", chain.SecondRPCURL)
	}
	checkHex(p, field+".address", chain.Address)
	for i, address := range chain.AlsoWatch {
		checkHex(p, fmt.Sprintf("%s.also_watch[%d]", field, i), address)
	}
	if len(chain.Tokens) == 0 {
		p.Add(field+".tokens", "is empty, so that nothing could be paid there: name a token")
	}
	for i, token := range chain.Tokens {
		checkToken(p, fmt.Sprintf("%s.tokens[%d]", field, i), token)
	}
}

// checkNode checks the URL of a node, and does not show it: some have a key in them.
func checkNode(p *settings.Problems, field, text string) {
	if !regexp.MustCompile(`^https?://[^/\s]+`).MatchString(text) {
		p.Add(field, "is not a URL: write it as in https://host/path")
	}
}

func checkHex(p *settings.Problems, field, address string) {
	if !regexp.MustCompile(`^0x[0-9a-fA-F]{40}$`).MatchString(address) {
		p.Add(field, "%.100q is not an address: write 0x and 40 hexadecimal digits", address)
	}
}

func checkToken(p *settings.Problems, field string, t Token) {
	if !regexp.MustCompile(`^[A-Za-z0-9.]{1,16}$`).MatchString(t.Name) {
		p.Add(field+".name", "%.100q cannot be used: use at most 16 letters, digits and dots", t.Name)
	}
	checkHex(p, field+".address", t.Address)
	if t.Decimals < 0 || t.Decimals > 36 {
		p.Add(field+".decimals", "%d cannot be used: use 0 to 36, as its contract says", t.Decimals)
	}
	if _, err := money.ByCode(t.Currency); err != nil {
		p.Add(field+".currency", "%.100q is unknown: use one as USD", t.Currency)
	}
}

// regionNames are those of the regions.
func (i Invoices) regionNames() []string {
	var names []string
	for _, r := range i.Regions {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return names
}
