package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// edited returns the golden file of that name with one text replaced.
func edited(t *testing.T, name, old, replacement string) []byte {
	t.Helper()
	golden := string(readGolden(t, name))
	if !strings.Contains(golden, old) {
		t.Fatalf("%s has no %s", name, old)
	}
	return []byte(strings.Replace(golden, old, replacement, 1))
}

// TestParseRefuses shows which error each kind of bad input gets, and that it says
// what is wrong.
func TestParseRefuses(t *testing.T) {
	const accepted, failed, came, added = "pin.accepted", "pin.failed", "peer.came", "claim.added"
	version := string(versionAfter(0))
	for _, test := range []struct {
		name, old, replacement string
		want                   error
		says                   string
	}{
		{accepted, `"specversion": "1.0"`, `"specversion": "2.0"`, ErrUnknown, `"2.0"`},
		{accepted, "pin.accepted.v1", "pin.accepted.v2", ErrUnknown, "pin.accepted.v2"},
		{accepted, "pin.accepted.v1", "pin.accepted", ErrUnknown, "pin.accepted"},
		{accepted, "pin.accepted.v1", "feed.manifest.v1", ErrUnknown, "feed.manifest.v1"},
		{accepted, "{", "[", ErrMalformed, "invalid character"},
		{accepted, `"specversion": "1.0",`, "", ErrMalformed, "specversion is missing"},
		{accepted, `"specversion": "1.0"`, `"specversion": 1`, ErrMalformed, "specversion"},
		{accepted, `"type": "com.github.ipfs-cluster.scylla.pin.accepted.v1",`, "", ErrMalformed, "type is missing"},
		{accepted, `"/clusters/ipfs-cluster"`, `""`, ErrMalformed, "source is missing"},
		{accepted, `"/clusters/ipfs-cluster"`, `"/clusters/%"`, ErrMalformed, "%"},
		{accepted, `"subject": "b`, `"subject": "c`, ErrMalformed, "subject is"},
		{accepted, `"id": "b`, `"id": "c`, ErrMalformed, "id is"},
		{accepted, "T10:15:30.1234567Z", "T10:15:30.1234568Z", ErrMalformed, "time is 2026-11-27T10:15:30.1234568Z"},
		{accepted, `"2026-11-27T10:15:30.1234567Z"`, `"yesterday"`, ErrMalformed, "yesterday"},
		{accepted, "application/json", "application/xml", ErrMalformed, "application/xml"},
		{accepted, sampleTrace, "a\\u0000b", ErrMalformed, "traceparent"},
		{accepted, sampleTrace, strings.Repeat("0", MaxAttribute+1), ErrMalformed, "traceparent has 1025 bytes"},
		{accepted, `"data": {`, `"data_base64": {`, ErrMalformed, "data is missing"},
		{accepted, `"data": {`, `"data": null, "other": {`, ErrMalformed, "pin"},
		{accepted, `"data": {`, `"data": [], "other": {`, ErrMalformed, "data: json"},
		{accepted, `"cid": "b`, `"cid": "c`, ErrMalformed, "id is"},
		{accepted, `"cid": "` + sampleCid, `"cid": "`, ErrMalformed, "cid is missing"},
		{accepted, `"cid": "`, `"cid": "a/`, ErrMalformed, "cid has a slash"},
		{accepted, `"cid": "`, `"cid": "` + strings.Repeat("b", MaxAttribute), ErrMalformed, "cid has 1083 bytes"},
		{accepted, `"cid": "`, `"cid": "a\n`, ErrMalformed, "cid is not a readable text"},
		{accepted, `"version": "` + version, `"version": "`, ErrMalformed, "version is not a version"},
		{accepted, `"version": "` + version, `"version": "` + strings.ToUpper(version), ErrMalformed, "version is not a version"},
		{accepted, `"version": "`, `"version": "0`, ErrMalformed, "version is not a version"},
		{accepted, `"pin": {`, `"Pim": {`, ErrMalformed, "not either a pin or a reason"},
		{accepted, `"pin": {`, `"omitted": "x", "pin": {`, ErrMalformed, "not either a pin or a reason"},
		{accepted, `"max_depth": -1`, `"max_depth": "deep"`, ErrMalformed, "max_depth"},
		{accepted, "pin.accepted.v1", "pin.unpinned.v1", ErrMalformed, "a pin that was removed"},
		{"pin.expired", `"version"`, `"omitted": "x", "version"`, ErrMalformed, "a pin that was removed"},
		{failed, "pin.failed.v1", "pin.pinned.v1", ErrMalformed, "id is"},
		{failed, `"at": "`, `"ta": "`, ErrMalformed, "at is not a version"},
		{failed, `"version": "`, `"verse": "`, ErrMalformed, "version is not a version"},
		{failed, `"peer": "`, `"pear": "`, ErrMalformed, "peer is missing"},
		{failed, `"status": "`, `"state": "`, ErrMalformed, "status is missing"},
		{failed, `"status": "`, `"size": -1, "status": "`, ErrMalformed, "size is -1"},
		{failed, `"cid": "`, `"cyd": "`, ErrMalformed, "cid is missing"},
		{came, `"peer": "`, `"pear": "`, ErrMalformed, "peer is missing"},
		{came, `"incarnation": "`, `"process": "`, ErrMalformed, "incarnation is missing"},
		{came, `"incarnation": "`, `"incarnation": "a/`, ErrMalformed, "incarnation has a slash"},
		{came, `"at": "`, `"ta": "`, ErrMalformed, "at is not a version"},
		{added, `"cid": "`, `"cyd": "`, ErrMalformed, "cid is missing"},
		{added, `"owner": "`, `"honour": "`, ErrMalformed, "owner is missing"},
		{added, `"request_id": "`, `"request": "`, ErrMalformed, "request_id is missing"},
		{added, `"request_id": "`, `"request_id": "a/`, ErrMalformed, "request_id has a slash"},
		{added, `"at": "`, `"ta": "`, ErrMalformed, "at is not a version"},
		{added, `"accepted": "`, `"excepted": "`, ErrMalformed, "accepted is missing"},
		{added, `"replicas": 2`, `"replicas": -2`, ErrMalformed, "replicas is -2"},
		{added, `"replicas": 2`, `"replicas": "all"`, ErrMalformed, "replicas"},
		{added, `"replicas": 2`, `"replicas": 2, "size": -1`, ErrMalformed, "size is -1"},
		{added, `"replicas": 2`, `"replicas": 2, "size": 1`, ErrMalformed, "size is not told by claim.added"},
		{added, `"accepted": "`, `"pinned": "2026-11-27T10:15:30Z", "accepted": "`, ErrMalformed, "pinned is not told by claim.added"},
		{"claim.pinned", `"pinned": "`, `"spinned": "`, ErrMalformed, "pinned is missing"},
		{"claim.pinned", `"pinned": "`, `"removed": "2026-11-27T10:15:30Z", "pinned": "`, ErrMalformed, "removed is not told by claim.pinned"},
		{"claim.sized", `"pinned": "`, `"spinned": "`, ErrMalformed, "pinned is missing"},
		{"claim.sized", `"size": `, `"seize": `, ErrMalformed, "size is missing"},
		{"claim.removed", `"removed": "`, `"moved": "`, ErrMalformed, "removed is missing"},
	} {
		_, err := Parse(edited(t, test.name, test.old, test.replacement))
		if !errors.Is(err, test.want) || errors.Is(err, ErrUnknown) == errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s with %.60s instead of %.60s: %v, want %v that says %q", test.name, test.replacement, test.old, err, test.want, test.says)
		}
	}
	for _, text := range []string{"", "null", "{}", "7", "{} {}"} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v, want %v", text, err, ErrMalformed)
		}
	}
}

// TestParseIsBounded shows that an event has at most MaxBytes.
func TestParseIsBounded(t *testing.T) {
	golden := readGolden(t, "pin.accepted")
	fits := append(golden, bytes.Repeat([]byte(" "), MaxBytes-len(golden))...)
	if _, err := Parse(fits); err != nil {
		t.Error(err)
	}
	if _, err := Parse(append(fits, ' ')); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "524289 bytes") {
		t.Errorf("one byte more: %v", err)
	}
}

// TestParseLeavesOut shows that fields may be added without a new version.
func TestParseLeavesOut(t *testing.T) {
	for name, want := range samples() {
		golden := edited(t, name, `"specversion"`, `"partitionkey": "x", "later": {"a": [1]}, "specversion"`)
		golden = bytes.Replace(golden, []byte(`"data": {`), []byte(`"data": {"added": [{}],`), 1)
		if got, err := Parse(golden); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s with more fields: %+v, %v", name, got, err)
		}
	}
}

// TestEncodeRefuses shows that nothing is told that Parse refuses.
func TestEncodeRefuses(t *testing.T) {
	for _, test := range []struct {
		change func(*Event)
		want   error
	}{
		{func(e *Event) { e.Type = "pin.accepted" }, ErrUnknown},
		{func(e *Event) { *e = Event{} }, ErrUnknown},
		{func(e *Event) { e.Source = "" }, ErrMalformed},
		{func(e *Event) { e.Source = "/\xff" }, ErrMalformed},
		{func(e *Event) { e.Pin = nil }, ErrMalformed},
		{func(e *Event) { e.Peer = &PeerData{} }, ErrMalformed},
		{func(e *Event) { e.Type = PinUnpinned }, ErrMalformed},
		{func(e *Event) { e.Type = PeerCame }, ErrMalformed},
		{func(e *Event) { e.Pin.Pin = nil }, ErrMalformed},
		{func(e *Event) { e.Pin.Version = VersionOf([16]byte{}) }, ErrMalformed},
		{func(e *Event) { e.Pin.Cid = strings.Repeat("b", MaxAttribute-versionDigits) }, ErrMalformed},
	} {
		e := samples()["pin.accepted"]
		test.change(&e)
		if encoded, err := e.Encode(); !errors.Is(err, test.want) || encoded != nil {
			t.Errorf("%+v: %.60s, %v, want %v", e, encoded, err, test.want)
		}
	}
}

// TestEncodeOmits shows that no pin that can be stored keeps an event from being told:
// what does not fit is omitted, with the reason.
func TestEncodeOmits(t *testing.T) {
	controls := strings.Repeat("\x01", 200<<10) // six times as long in JSON
	for _, test := range []struct {
		change func(*Pin)
		says   string
	}{
		{func(p *Pin) { p.Name = controls }, "bytes, more than 524288"},
		{func(p *Pin) { p.Metadata = map[string]string{"a": controls} }, "bytes, more than 524288"},
		{func(p *Pin) { p.ExpireAt = time.Unix(1<<40, 0) }, "year"},
	} {
		e := samples()["pin.accepted"]
		test.change(e.Pin.Pin)
		got, err := Parse(encode(t, e))
		if err != nil {
			t.Fatal(err)
		}
		if got.Pin.Pin != nil || !strings.Contains(got.Pin.Omitted, test.says) {
			t.Errorf("told as %+v, want an omitted pin that says %q", got.Pin, test.says)
		}
		if got.ID() != e.ID() || got.Version() != e.Version() || e.Pin.Pin == nil || e.Pin.Omitted != "" {
			t.Errorf("%+v became %+v", e, got)
		}
	}
}

// TestUnusualTexts shows that what users write comes back as they wrote it.
func TestUnusualTexts(t *testing.T) {
	for _, text := range []string{"", "<b>&amp;</b>", "\"\\/", "a\x00\t\nb", "\u2028\u2029", "日本語 🦀", strings.Repeat("x", 100_000)} {
		e := samples()["pin.accepted"]
		e.Pin.Pin.Name, e.Pin.Pin.Metadata = text, map[string]string{text: text}
		if got, err := Parse(encode(t, e)); err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%.20q came back as %+v, %v", text, got.Pin, err)
		}
	}
	if encoded := encode(t, samples()["pin.accepted"]); !json.Valid(encoded) || bytes.Contains(encoded, []byte(`\u003c`)) {
		t.Errorf("it is not easy to read: %s", encoded)
	}
}

// TestLongCid shows that every event can tell of a CID of 500 bytes.
func TestLongCid(t *testing.T) {
	long := strings.Repeat("b", 1+500*8/5)
	for name, e := range samples() {
		switch e.Type.family() {
		case pinFamily:
			e.Pin.Cid = long
		case statusFamily:
			e.Status.Cid = long
		case claimFamily:
			e.Claim.Cid = long
		}
		if _, err := Parse(encode(t, e)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
