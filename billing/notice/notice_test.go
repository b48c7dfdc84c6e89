package notice

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

//go:generate go test -run=^TestGolden$ -update

var update = flag.Bool("update", false, "write testdata")

func samples() map[string]Notice {
	at := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	issued := Invoice{
		Owner: "acme & söhne", Number: "2026-000042", Kind: "invoice", Period: "2026-12", Total: "12.30", Currency: "USD",
		Issued: "2027-01-02", Due: "2027-01-16", Digest: strings.Repeat("ab", 32), Turn: 1,
	}
	paid, overdue, note := issued, issued, issued
	paid.Turn = 3
	note.Number, note.Kind, note.Due, note.Credits = "CN-000007", "credit_note", "", issued.Number
	limit := Limit{Owner: "acme & söhne", Period: "2026-12", Percent: 80, Limit: "100.00", Total: "81.07", Currency: "USD"}
	all := limit
	all.Percent, all.Total = 100, "100.01"
	return map[string]Notice{
		"invoice.issued":    {Source: "/billing/test", Type: InvoiceIssued, Time: at, Invoice: &issued},
		"credit.issued":     {Source: "/billing/test", Type: InvoiceIssued, Time: at, Invoice: &note},
		"invoice.paid":      {Source: "/billing/test", Type: InvoicePaid, Time: at, Invoice: &paid},
		"invoice.overdue":   {Source: "/billing/test", Type: InvoiceOverdue, Time: at, Invoice: &overdue},
		"threshold.crossed": {Source: "/billing/test", Type: ThresholdCrossed, Time: at, Limit: &limit},
		"limit.reached":     {Source: "/billing/test", Type: LimitReached, Time: at, Limit: &all},
	}
}

// TestGolden shows that what is on the wire does not change: every file is what is encoded, and
// is read as what was encoded.
func TestGolden(t *testing.T) {
	ids, types := make(map[string]bool), make(map[Type]bool)
	for name, n := range samples() {
		text, err := n.Encode()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".json")
		if *update {
			var b bytes.Buffer
			if err := json.Indent(&b, text, "", "  "); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, append(b.Bytes(), '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, golden); err != nil || !bytes.Equal(text, want.Bytes()) {
			t.Errorf("%s is not what its file says, %v, run: go generate ./billing/notice\n got %s\nwant %s", name, err, text, want.Bytes())
		}
		if got, err := Parse(golden); err != nil || !reflect.DeepEqual(got, n) {
			t.Errorf("%s: read as %+v, %v", name, got, err)
		}
		if ids[n.ID()] || n.Owner() == "" {
			t.Errorf("%s has the id of another one, or no owner: %s", name, n.ID())
		}
		ids[n.ID()], types[n.Type] = true, true
	}
	if len(types) != len(Types()) {
		t.Errorf("%d types have a sample", len(types))
	}
}

func TestRefused(t *testing.T) {
	for what, change := range map[string]func(*Notice){
		"a type":       func(n *Notice) { n.Type += "2" },
		"no data":      func(n *Notice) { n.Invoice = nil },
		"other data":   func(n *Notice) { n.Type = LimitReached },
		"two data":     func(n *Notice) { n.Limit = &Limit{} },
		"no time":      func(n *Notice) { n.Time = time.Time{} },
		"no source":    func(n *Notice) { n.Source = "" },
		"no number":    func(n *Notice) { n.Invoice.Number = "" },
		"a long owner": func(n *Notice) { n.Invoice.Owner = strings.Repeat("x", maxText+1) },
		"a bell":       func(n *Notice) { n.Invoice.Owner = "\a" },
		"no turn":      func(n *Notice) { n.Invoice.Turn = 0 },
	} {
		n := samples()["invoice.paid"]
		change(&n)
		if text, err := n.Encode(); err == nil {
			t.Errorf("%s was encoded: %s", what, text)
		}
	}
	good, err := samples()["invoice.paid"].Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{`"specversion":"1.0"`, `"specversion":"2.0"`}, {"invoice.paid/3", "invoice.paid/4"}, {`"subject":"2026`, `"subject":"2027`}, {`"data":{`, `"data":7,"x":{`}} {
		text := strings.Replace(string(good), change[0], change[1], 1)
		if n, err := Parse([]byte(text)); err == nil || text == string(good) {
			t.Errorf("%s was read as %+v", text, n)
		}
	}
}

// FuzzParse: what is read is written as what is read again.
func FuzzParse(f *testing.F) {
	for _, n := range samples() {
		text, err := n.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := Parse(text)
		if err != nil {
			return
		}
		again, err := n.Encode()
		if err != nil {
			t.Fatalf("%+v: %v", n, err)
		}
		if back, err := Parse(again); err != nil || back.ID() != n.ID() || !back.Time.Equal(n.Time) {
			t.Fatalf("%+v became %+v, %v", n, back, err)
		}
	})
}
