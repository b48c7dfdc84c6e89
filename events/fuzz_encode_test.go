package events

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

// FuzzEncode encodes events with whatever a user, an operator or a database may have
// put into them: what is told comes back as it was, and is refused only for what
// it is named by.
func FuzzEncode(f *testing.F) {
	f.Add(sampleCid, samplePeer, "holidays", "app", "photos", sampleTrace, -1, int64(1<<31))
	f.Add("", "a/b", "\x00<&>\u2028", "", "日本語", "", 0, int64(0))
	f.Add("a\nb", "\xff", "\xff", "\ufffd", "\"\\", "x", 1<<31-1, int64(1<<40))
	f.Fuzz(func(t *testing.T, cid, name, text, key, value, trace string, number int, second int64) {
		at := versionAfter(0)
		for _, e := range []Event{
			{Type: PinUpdated, Pin: &PinData{Cid: cid, Version: at, Pin: &Pin{
				Name: text, Type: key, Mode: value, MaxDepth: number, ReplicationFactorMin: number, ShardSize: uint64(second),
				Allocations: []string{name, text}, Origins: []string{value}, ExpireAt: time.Unix(second, 0).UTC(),
				Metadata: map[string]string{key: value}, PinUpdate: text, Reference: name,
			}}},
			{Type: PinExpired, Pin: &PinData{Cid: cid, Version: at}},
			{Type: PinFailed, Status: &StatusData{Cid: cid, Version: at, At: at, Peer: name, Status: key, Size: second, Error: text}},
			{Type: PeerDied, Peer: &PeerData{Peer: name, Name: text, Incarnation: key, At: at}},
			ClaimEvent("", ClaimAdded, ClaimData{Cid: cid, Owner: name, RequestID: key, Name: text, Accepted: sampleTime(), Replicas: 3}),
			ClaimEvent("", ClaimRemoved, ClaimData{
				Cid: cid, Owner: name, RequestID: key, Name: text, Accepted: sampleTime(), Pinned: sampleTime().Add(-time.Hour), Removed: sampleTime(), Size: second,
			}),
		} {
			e.Source, e.Traceparent = Source(name), trace
			encoded, err := e.Encode()
			if err != nil {
				if mayTell(cid, name, key, trace) && second >= 0 || !errors.Is(err, ErrMalformed) {
					t.Fatalf("%+v: %v", e, err)
				}
				continue
			}
			got, err := Parse(encoded)
			if err != nil {
				t.Fatalf("%s: %v", encoded, err)
			}
			year := time.Unix(second, 0).UTC().Year()
			if e.Pin != nil && got.Pin.Omitted != "" && (year < 0 || year > 9999 || len(text+key+value+name) > MaxBytes/20) {
				continue
			}
			again, err := Parse(encode(t, got))
			if err != nil || !reflect.DeepEqual(again, got) || got.ID() != e.ID() || got.Key() != e.Key() {
				t.Fatalf("%+v became %+v, then %+v, %v", e, got, again, err)
			}
			if isText(text, key, value, name) && !reflect.DeepEqual(got, e) {
				t.Fatalf("%+v came back as %+v", e, got)
			}
		}
	})
}

// mayTell reports whether an event that is named by these must be told.
func mayTell(cid, name, key, trace string) bool {
	return checkName("cid", cid) == nil && checkName("name", name) == nil && checkName("key", key) == nil &&
		(trace == "" || checkText("trace", trace) == nil) && len(cid+name+key) < MaxAttribute/4
}

// isText reports whether JSON can hold all texts.
func isText(texts ...string) bool {
	for _, s := range texts {
		for _, r := range s {
			if r == '\ufffd' {
				return false
			}
		}
	}
	return true
}
