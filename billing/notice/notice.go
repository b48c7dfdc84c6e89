package notice

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Type says what happened. It ends in the version of its wire format.
type Type string

// The types. The data of the first three are those of an invoice, of the others those of a limit.
const (
	// InvoiceIssued tells of an invoice, or a credit note, that has got its number.
	InvoiceIssued Type = "com.github.ipfs-cluster.scylla.billing.invoice.issued.v1"
	// InvoicePaid tells that nothing is left to pay of an invoice. It comes again, with another
	// ID, if a payment was taken back meanwhile.
	InvoicePaid Type = "com.github.ipfs-cluster.scylla.billing.invoice.paid.v1"
	// InvoiceOverdue tells that the day on which an invoice was due is over and it is not paid.
	InvoiceOverdue Type = "com.github.ipfs-cluster.scylla.billing.invoice.overdue.v1"
	// ThresholdCrossed tells that a month has cost a part of what an owner means to spend.
	ThresholdCrossed Type = "com.github.ipfs-cluster.scylla.billing.threshold.crossed.v1"
	// LimitReached tells that it has cost all of that.
	LimitReached Type = "com.github.ipfs-cluster.scylla.billing.limit.reached.v1"
)

const (
	typePrefix  = "com.github.ipfs-cluster.scylla.billing."
	typeVersion = ".v1"
	specVersion = "1.0"
	contentType = "application/json"
	// maxText bounds each text, in bytes, and MaxBytes a notice that is encoded.
	maxText = 1 << 10
)

// MaxBytes bounds an encoded notice.
const MaxBytes = 64 << 10

// Types returns all types.
func Types() []Type {
	return []Type{InvoiceIssued, InvoicePaid, InvoiceOverdue, ThresholdCrossed, LimitReached}
}

// Kind is the type without what all have in common, as "invoice.paid".
func (t Type) Kind() string {
	return strings.TrimSuffix(strings.TrimPrefix(string(t), typePrefix), typeVersion)
}

func (t Type) ofLimit() bool { return t == ThresholdCrossed || t == LimitReached }

// Notice is one. All that is not a field follows from the data.
type Notice struct {
	// Source is whose billing tells it, a URI reference.
	Source string
	Type   Type
	// Time is when it came about.
	Time time.Time
	// Invoice or Limit are the data that belong to Type. The other one is nil.
	Invoice *Invoice
	Limit   *Limit
}

// Invoice is the data on an invoice or a credit note. Amounts are decimals, as "12.30".
type Invoice struct {
	Owner  string `json:"owner"`
	Number string `json:"number"`
	// Kind is invoice or credit_note.
	Kind string `json:"kind"`
	// Period is the month, as 2026-12.
	Period   string `json:"period"`
	Total    string `json:"total"`
	Currency string `json:"currency"`
	// Issued and Due are days, as 2026-12-31. A credit note is not due.
	Issued string `json:"issued"`
	Due    string `json:"due,omitempty"`
	// Digest is the SHA-256 of the document, in hex.
	Digest string `json:"sha256"`
	// Credits is the number of the invoice that a credit note is of.
	Credits string `json:"credits,omitempty"`
	// Turn counts what the invoice stood at: of two notices the one with the higher Turn is
	// later.
	Turn int64 `json:"turn"`
}

// Limit is the data on what a month has cost. Amounts are decimals.
type Limit struct {
	Owner string `json:"owner"`
	// Period is the month, as 2026-12.
	Period string `json:"period"`
	// Percent is the part of Limit that Total has reached.
	Percent  int    `json:"percent"`
	Limit    string `json:"limit"`
	Total    string `json:"total"`
	Currency string `json:"currency"`
}

// ID returns the ID: the same however often it is told.
func (n Notice) ID() string {
	switch {
	case n.Type.ofLimit() && n.Limit != nil:
		l := n.Limit
		return strings.Join([]string{url.PathEscape(l.Owner), l.Period, fmt.Sprint(l.Percent), l.Limit, l.Currency}, "/")
	case !n.Type.ofLimit() && n.Invoice != nil:
		i := n.Invoice
		id := []string{i.Number, n.Type.Kind()}
		if n.Type == InvoicePaid {
			id = append(id, fmt.Sprint(i.Turn))
		}
		return strings.Join(id, "/")
	}
	return ""
}

// Owner returns whom it is about.
func (n Notice) Owner() string {
	switch {
	case n.Limit != nil:
		return n.Limit.Owner
	case n.Invoice != nil:
		return n.Invoice.Owner
	}
	return ""
}

// subject is the number of the invoice, or the month.
func (n Notice) subject() string {
	switch {
	case n.Limit != nil:
		return n.Limit.Period
	case n.Invoice != nil:
		return n.Invoice.Number
	}
	return ""
}

// envelope is a CloudEvent in the JSON format.
type envelope struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            Type            `json:"type"`
	Subject         string          `json:"subject"`
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
}

// Encode returns the notice as JSON, the same bytes each time. The error says what is wrong
// with it.
func (n Notice) Encode() ([]byte, error) {
	if err := n.check(); err != nil {
		return nil, fmt.Errorf("a notice that cannot be told: %w", err)
	}
	var data any = n.Invoice
	if n.Type.ofLimit() {
		data = n.Limit
	}
	inner, err := encode(data)
	if err != nil {
		return nil, fmt.Errorf("writing a notice: %w", err)
	}
	out, err := encode(envelope{specVersion, n.ID(), n.Source, n.Type, n.subject(), n.Time.UTC(), contentType, inner})
	if err == nil && len(out) > MaxBytes {
		err = fmt.Errorf("it has %d bytes, more than %d", len(out), MaxBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("writing a notice: %w", err)
	}
	return out, nil
}

// encode is json.Marshal that leaves <, > and & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Parse returns the notice that Encode has encoded. Fields that it does not know are left out.
func Parse(text []byte) (Notice, error) {
	n, err := parse(text)
	if err != nil {
		return Notice{}, fmt.Errorf("reading a notice: %w", err)
	}
	return n, nil
}

func parse(text []byte) (Notice, error) {
	if len(text) > MaxBytes {
		return Notice{}, fmt.Errorf("it has %d bytes, more than %d", len(text), MaxBytes)
	}
	var in envelope
	if err := json.Unmarshal(text, &in); err != nil {
		return Notice{}, err
	}
	n := Notice{Source: in.Source, Type: in.Type, Time: in.Time}
	var data any
	if n.Type.ofLimit() {
		n.Limit = new(Limit)
		data = n.Limit
	} else {
		n.Invoice = new(Invoice)
		data = n.Invoice
	}
	if in.SpecVersion != specVersion || in.DataContentType != contentType || len(in.Data) == 0 {
		return Notice{}, errors.New("it is no CloudEvent with data in JSON")
	}
	if err := json.Unmarshal(in.Data, data); err != nil {
		return Notice{}, err
	}
	if err := n.check(); err != nil {
		return Notice{}, err
	}
	if in.ID != n.ID() || in.Subject != n.subject() {
		return Notice{}, fmt.Errorf("its id is %.200q, and %.200q by its data", in.ID, n.ID())
	}
	return n, nil
}

func (n Notice) check() error {
	var texts []string
	switch {
	case !slices.Contains(Types(), n.Type):
		return fmt.Errorf("the type %.200q is none", n.Type)
	case (n.Limit != nil) != n.Type.ofLimit() || (n.Invoice != nil) == n.Type.ofLimit():
		return fmt.Errorf("%s has its own data, and no other", n.Type.Kind())
	case n.Time.IsZero() || n.Time.Year() < 1970 || n.Time.Year() > 9999:
		return errors.New("it has no time of the years 1970 to 9999")
	case n.Limit != nil:
		texts = []string{n.Limit.Owner, n.Limit.Period, n.Limit.Limit, n.Limit.Total, n.Limit.Currency}
		if n.Limit.Percent <= 0 {
			return fmt.Errorf("the percent is %d", n.Limit.Percent)
		}
	default:
		i := n.Invoice
		texts = []string{i.Owner, i.Number, i.Kind, i.Period, i.Total, i.Currency, i.Issued, i.Digest}
		if i.Turn <= 0 {
			return fmt.Errorf("the turn is %d", i.Turn)
		}
	}
	for _, text := range append(texts, n.Source) {
		if text == "" || len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Errorf("%.50q is missing, too long, or not a readable text", text)
		}
	}
	return nil
}
