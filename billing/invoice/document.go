package invoice

import "github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"

// format is the version of the format of documents.
const format = 1

// Kind is what a document is.
type Kind string

// The kinds of documents. The amounts of a credit note are those that are taken back: they
// are positive, where those of the invoice are.
const (
	KindInvoice    Kind = "invoice"
	KindCreditNote Kind = "credit_note"
)

// Document is an invoice or a credit note. It is made by New or Credit, as a draft without a
// number, and is not to be changed: Issue returns another one.
type Document struct {
	// Format is the version of the format, 1.
	Format int  `json:"format"`
	Kind   Kind `json:"kind"`
	// Series and Number are those of an issued document, and empty in a draft. The number is
	// the whole of what people write: it is unique without the series.
	Series string `json:"series,omitzero"`
	Number string `json:"number,omitzero"`
	// Owner is whose usage this is: the id of the gateway's tenant.
	Owner  string `json:"owner"`
	Period Period `json:"period"`
	// Issued and Due are not there in a draft; Due is not in a credit note either.
	Issued Date  `json:"issued,omitzero"`
	Due    Date  `json:"due,omitzero"`
	Seller Party `json:"seller"`
	Buyer  Party `json:"buyer"`
	// Currency is that of all amounts.
	Currency money.Currency `json:"currency"`
	Lines    []Line         `json:"lines"`
	// Region is the tax region of the buyer, whose rates are in Taxes.
	Region string `json:"tax_region"`
	Taxes  []Tax  `json:"taxes"`
	Totals Totals `json:"totals"`
	// Plans are those by which was rated.
	Plans []Plan `json:"plans"`
	// Usage is the SHA-256 of what was used, in hex: whoever has the same days has the same.
	Usage string `json:"usage_sha256"`
	// Notes are further texts, each a paragraph.
	Notes []string `json:"notes"`
	// Credits says what a credit note takes back. An invoice has none.
	Credits *Credits `json:"credits,omitzero"`
}

// Draft tells whether the document has not been issued.
func (d Document) Draft() bool { return d.Number == "" }

func (k Kind) title(invoice, creditNote string) string {
	if k == KindCreditNote {
		return creditNote
	}
	return invoice
}

// title names the document.
func (d Document) title() string {
	if d.Draft() {
		return "Draft of " + d.Kind.title("an invoice", "a credit note")
	}
	return d.Kind.title("Invoice", "Credit note") + " " + d.Number
}

// Party is a seller or a buyer.
type Party struct {
	Name string `json:"name"`
	// Address has a line for each of an envelope.
	Address []string `json:"address"`
	// TaxID is the number that an authority knows it by. May be empty, but with a reverse
	// charge.
	TaxID string `json:"tax_id,omitzero"`
	// Contact is how it is reached: an address of mail, a telephone number.
	Contact string `json:"contact,omitzero"`
}

// Line is one thing that is paid for.
type Line struct {
	// Line is its place in the invoice, from 1. That of a credit note has the number of the
	// line that it takes back.
	Line int `json:"line"`
	// Kind says what it is for, as plans name that: usage, minimum.
	Kind        string `json:"kind"`
	Description string `json:"description"`
	// Meter says what was measured, as plans name it. It is empty where nothing was, as with a
	// minimum.
	Meter string `json:"meter,omitzero"`
	// Period is that of the usage. A correction has that which is corrected.
	Period Period `json:"period"`
	// TierFrom and TierTo are between which quantities the tier is, in Unit. May be empty.
	TierFrom string `json:"tier_from,omitzero"`
	TierTo   string `json:"tier_to,omitzero"`
	// Quantity is how much of Unit this is, for people, and Exact is the same as a fraction or
	// a whole number: 1/3. UnitPrice is the price of one. Where Unit is empty there is none of
	// them.
	Quantity  Decimal      `json:"quantity,omitzero"`
	Exact     string       `json:"exact,omitzero"`
	Unit      string       `json:"unit,omitzero"`
	UnitPrice money.Amount `json:"unit_price,omitzero"`
	// Measured is what the meter counted in the period of the line, in all lines of the meter
	// together, and Measure is in what. Empty where nothing is said of that.
	Measured Decimal `json:"measured,omitzero"`
	Measure  Measure `json:"measure,omitzero"`
	// Amount is the price without taxes, in whole smallest units. Negative in corrections.
	Amount money.Amount `json:"amount"`
}

// Measure is what a meter counts.
type Measure string

// What meters count: bytes, or pins, each times the milliseconds that they were kept.
const (
	ByteMS Measure = "byte-ms"
	PinMS  Measure = "pin-ms"
)

// Tax is one tax on all lines.
type Tax struct {
	Treatment Treatment `json:"treatment"`
	Name      string    `json:"name"`
	// Percent is the rate, as 19 or 8.875.
	Percent Decimal `json:"percent"`
	// Base is the sum of the lines.
	Base money.Amount `json:"base"`
	// Amount is the tax: of an invoice, the rate of the base, rounded once.
	Amount   money.Amount `json:"amount"`
	Rounding money.Mode   `json:"rounding"`
	// Note is what the law wants said, as with a reverse charge. May be empty.
	Note string `json:"note,omitzero"`
}

// Totals are sums.
type Totals struct {
	// Net is the sum of the lines, Tax that of the taxes.
	Net   money.Amount `json:"net"`
	Tax   money.Amount `json:"tax"`
	Gross money.Amount `json:"gross"`
}

// Plan is one that a part of the period was rated by.
type Plan struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	// Digest is the SHA-256 of its text, in hex.
	Digest string `json:"sha256"`
	Period Period `json:"period"`
}

// Credits says which invoice a credit note takes something back of, and why.
type Credits struct {
	Number string `json:"number"`
	// Digest is that of the invoice.
	Digest string `json:"sha256"`
	Reason string `json:"reason"`
}
