package audit

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// TestCanonical has the examples of RFC 8785: §3.2.2 and §3.2.4, §3.2.3, appendix B.
func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		`{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
		  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}`: //
		`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"` + "\u20ac" + `$\u000f\nA'B\"\\\\\"/"}`,
		`{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}`://
		`{"\r":"Carriage Return","1":"One",` + "\"\u0080\":\"Control\",\"\u00f6\":\"Latin Small Letter O With Diaeresis\",\"\u20ac\":\"Euro Sign\",\"\U0001f600\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}",
		`[56, {"d": true, "10": null, "1": []}]`: `[56,{"1":[],"10":null,"d":true}]`,
	} {
		value := jsontext.Value(in)
		if err := value.Canonicalize(); err != nil || string(value) != want {
			t.Errorf("%v\n%s\n%s", err, value, want)
		}
	}
	for bits, want := range map[uint64]string{
		0x0000000000000000: "0", 0x8000000000000000: "0", 0x0000000000000001: "5e-324", 0x8000000000000001: "-5e-324",
		0x7fefffffffffffff: "1.7976931348623157e+308", 0xffefffffffffffff: "-1.7976931348623157e+308",
		0x4340000000000000: "9007199254740992", 0xc340000000000000: "-9007199254740992", 0x4430000000000000: "295147905179352830000",
		0x44b52d02c7e14af5: "9.999999999999997e+22", 0x44b52d02c7e14af6: "1e+23", 0x44b52d02c7e14af7: "1.0000000000000001e+23",
		0x444b1ae4d6e2ef4e: "999999999999999700000", 0x444b1ae4d6e2ef4f: "999999999999999900000", 0x444b1ae4d6e2ef50: "1e+21",
		0x3eb0c6f7a0b5ed8c: "9.999999999999997e-7", 0x3eb0c6f7a0b5ed8d: "0.000001",
		0x41b3de4355555553: "333333333.3333332", 0x41b3de4355555554: "333333333.33333325", 0x41b3de4355555555: "333333333.3333333",
		0x41b3de4355555556: "333333333.3333334", 0x41b3de4355555557: "333333333.33333343",
		0xbecbf647612f3696: "-0.0000033333333333333333", 0x43143ff3c1cb0959: "1424953923781206.2",
	} {
		text, err := canonical([]float64{math.Float64frombits(bits)})
		if err != nil || string(text) != "["+want+"]" {
			t.Errorf("%x: %s, want %s: %v", bits, text, want, err)
		}
	}
	for _, in := range []string{`{"a":1,"a":2}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `1 2`, `{"a":01}`, `{"a":NaN}`} {
		value := jsontext.Value(in)
		if value.Canonicalize() == nil {
			t.Errorf("%s is accepted", in)
		}
	}
}

// The form of a line is kept: a program elsewhere computes the hashes, too.
func TestLineForm(t *testing.T) {
	e := event("alice", "t1")
	line, h, err := appendLine(nil, hash{}, &Record{Version: 1, Writer: "gw-1", Seq: 1, Time: "2026-06-01T12:00:00.000000000Z", Kind: Intent, ID: "i", Event: &e})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"hash":"HASH","prev":"0000000000000000000000000000000000000000000000000000000000000000","record":` +
		`{"event":{"action":"pins:delete","actor":{"credential":"k1","ip":"192.0.2.1","method":"apikey","principal":"alice","tenant":"t1","userAgent":"kubo"},` +
		`"decision":{"allowed":true,"policies":["user-changes-own"],"version":"v"},"http":{"method":"DELETE","route":"/pins/{requestID}"},` +
		`"resource":{"cid":"bafy","id":"r1","kind":"pin","name":"a <name> & ` + "\u20ac" + `","owner":"alice","tenant":"t1"}},` +
		`"id":"i","kind":"intent","seq":1,"time":"2026-06-01T12:00:00.000000000Z","v":1,"writer":"gw-1"}}` + "\n"
	if got := strings.Replace(string(line), h.String(), "HASH", 1); got != want {
		t.Errorf("%s\n%s", got, want)
	}
	if _, err := hex.DecodeString(h.String()); err != nil || h != sum(hash{}, line[bodyAt:len(line)-2]) {
		t.Error("the hash is not of the record")
	}
	value := jsontext.Value(bytes.Clone(line))
	if err := value.Canonicalize(); err != nil || string(value)+"\n" != string(line) {
		t.Error("the line is not canonical JSON")
	}
}

func TestLineBounds(t *testing.T) {
	if _, _, err := appendLine(nil, hash{}, &Record{ID: strings.Repeat("x", MaxLine)}); err == nil {
		t.Error("a record without bound")
	}
	// The longest event that a client can bring about fits.
	long := strings.Repeat("\x01", 2*MaxText)
	e := Event{
		Actor: Actor{long, long, long, long, long, long, long, long, true}, Action: long, Resource: Resource{long, long, long, long, long, long},
		Decision: Decision{true, slicesOf(long, 1000), long, long}, HTTP: HTTP{long, long}, RequestID: long, Traceparent: long,
	}
	r := Result{Denied, 403, long, long, 1}
	line, _, err := appendLine(nil, hash{}, &Record{Event: e.cut(), Result: r.cut()})
	if err != nil {
		t.Errorf("%d: %v", len(line), err)
	}
	if len(e.Decision.Policies) != 1000 || len(e.Decision.Policies[0]) != 2*MaxText {
		t.Error("the event of the caller was changed")
	}
	cutEnd := Event{Action: strings.Repeat("x", MaxText-1) + "\u20ac"}
	if got := cutEnd.cut().Action; !strings.HasSuffix(got, "x\uFFFD") {
		t.Errorf("cut within a character: %q", got[MaxText-3:])
	}
}

func slicesOf(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// FuzzParseLine: what is read is exactly what is in the line, and writing it again makes
// the line, but for fields of later versions.
func FuzzParseLine(f *testing.F) {
	e := event("alice", "t1")
	c, err := sign(testKey(), "gw-1", 1, hash{1}, "2026-06-01T12:00:00.000000000Z")
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range []Record{
		{Kind: Intent, ID: "i", Event: &e}, {Kind: Outcome, ID: "i", Result: &Result{Verdict: Success, Status: 202}},
		{Kind: Started, Dropped: &Dropped{1, "aa"}}, {Kind: Sealed, Checkpoint: &c}, {Kind: Failed, Attempts: &Attempts{Network: "192.0.2.0/24", Count: 7}},
	} {
		r.Version, r.Writer, r.Seq, r.Time = 1, "gw-1", 2, "2026-06-01T12:00:00.000000000Z"
		line, _, err := appendLine(nil, hash{7}, &r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.TrimSuffix(line, []byte("\n")))
	}
	f.Add([]byte(`{"hash":"`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parseLine(line)
		if err != nil {
			return
		}
		body := line[bodyAt : len(line)-1]
		again := beforeHash + e.hash.String() + beforePrev + e.prev.String() + beforeBody + string(body) + afterBody
		if again != string(line) {
			t.Fatalf("%q\n%q", again, line)
		}
		made, h, err := appendLine(nil, e.prev, &e.record)
		if err != nil {
			t.Fatal(err)
		}
		if h == e.hash && !bytes.Equal(made, append(bytes.Clone(line), '\n')) {
			t.Fatalf("another line has the same hash: %q %q", made, line)
		}
		second, err := parseLine(bytes.TrimSuffix(made, []byte("\n")))
		if err != nil || second.hash != second.sum {
			t.Fatalf("%q: %v", made, err)
		}
	})
}
