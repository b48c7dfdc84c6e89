package invoice

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// The JSON of a copy lets anybody else check the digest.
func TestCopyJSON(t *testing.T) {
	for name, c := range copies(t) {
		var text bytes.Buffer
		if err := c.JSON(&text); err != nil {
			t.Fatal(err)
		}
		var read struct {
			Document jsontext.Value
			SHA256   string
		}
		if err := json.Unmarshal(text.Bytes(), &read); err != nil {
			t.Fatal(err)
		}
		if err := read.Document.Canonicalize(); err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(read.Document); hex.EncodeToString(sum[:]) != read.SHA256 || read.SHA256 != digestOf(t, c.Document) {
			t.Errorf("%s: the digest is %x, not %s", name, sum, read.SHA256)
		}
	}
}

func TestCopyRefuses(t *testing.T) {
	good := copies(t)["usd"]
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(c *Copy){
		"not with https or ethereum": func(c *Copy) { c.Links[0].URL = "javascript:alert(1)" },
		`begins with "http"`:         func(c *Copy) { c.Links[0].URL = "http://pay.example.org" },
		`begins with ""`:             func(c *Copy) { c.Links[0].URL = "//pay.example.org" },
		"not a URL":                  func(c *Copy) { c.Links[0].URL = "https://a\x00b" },
		"label of a link":            func(c *Copy) { c.Links[0].Label = "" },
		"number of a credit note":    func(c *Copy) { c.CreditNotes[0].Number = "<b>" },
		"a credit note is":           func(c *Copy) { c.CreditNotes[0].Gross = amountOf(t, "1", currency(t, "EUR")) },
		"the standing is of":         func(c *Copy) { c.Standing.Total = amountOf(t, "1", currency(t, "USD")) },
		"does not fit the state":     func(c *Copy) { c.Standing.State = Draft },
		`the state "lost"`:           func(c *Copy) { c.Standing.State = "lost" },
		"what was paid":              func(c *Copy) { c.Standing.Paid = amountOf(t, "1", currency(t, "EUR")) },
		"is not what Explain":        func(c *Copy) { c.Explanations[0].OthersTotal = number(t, "1") },
	} {
		c := good
		c.Links, c.CreditNotes, c.Explanations = slices.Clone(c.Links), slices.Clone(c.CreditNotes), slices.Clone(c.Explanations)
		change(&c)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

// failing takes no bytes.
type failing struct{}

var errFull = errors.New("full")

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestWriteFails(t *testing.T) {
	c := copies(t)["usd"]
	for name, write := range forms {
		if err := write(c, failing{}); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.PDF(failing{}); !errors.Is(err, errFull) {
		t.Errorf("pdf: %v", err)
	}
}

// A document that is not right is written in no form.
func TestWrongIsNotWritten(t *testing.T) {
	c := copies(t)["usd"]
	c.Document.Totals.Gross = amountOf(t, "33.70", c.Document.Currency)
	var page bytes.Buffer
	for name, write := range forms {
		if err := write(c, &page); err == nil || page.Len() > 0 {
			t.Errorf("written as %s", name)
		}
	}
	if err := c.PDF(&page); err == nil || page.Len() > 0 {
		t.Error("written as PDF")
	}
}
