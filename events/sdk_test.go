package events

import (
	"encoding/json"
	"reflect"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

// TestOfficialSDK shows that what is told is a CloudEvent: the official SDK finds it
// valid and reads what was written, and what the SDK writes again is read here.
func TestOfficialSDK(t *testing.T) {
	for name, e := range samples() {
		var got cloudevents.Event
		if err := json.Unmarshal(encode(t, e), &got); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		trace, _ := got.Extensions()["traceparent"].(string)
		if got.SpecVersion() != cloudevents.CloudEventsVersionV1 || got.ID() != e.ID() || got.Source() != e.Source ||
			got.Type() != string(e.Type) || got.Subject() != e.Subject() || !got.Time().Equal(e.Time()) ||
			got.DataContentType() != cloudevents.ApplicationJSON || trace != e.Traceparent {
			t.Errorf("%s: read as %s", name, got)
		}
		var data map[string]any
		if err := got.DataAs(&data); err != nil || len(data) == 0 {
			t.Errorf("%s: data %v, %v", name, data, err)
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Parse(again); err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("%s: written by the SDK as %s, read as %+v, %v", name, again, back, err)
		}
	}
}

// BenchmarkEncode and BenchmarkParse stand beside the SDK: see docs/adr/0022.
func BenchmarkEncode(b *testing.B) {
	e := samples()["pin.accepted"]
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			encode(b, e)
		}
	})
	b.Run("sdk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out := cloudevents.New(cloudevents.CloudEventsVersionV1)
			out.SetID(e.ID())
			out.SetSource(e.Source)
			out.SetType(string(e.Type))
			out.SetSubject(e.Subject())
			out.SetTime(e.Time())
			out.SetExtension("traceparent", e.Traceparent)
			if err := out.SetData(cloudevents.ApplicationJSON, e.Pin); err != nil {
				b.Fatal(err)
			}
			if err := out.Validate(); err != nil {
				b.Fatal(err)
			}
			if _, err := json.Marshal(out); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	encoded := encode(b, samples()["pin.accepted"])
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sdk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var in cloudevents.Event
			if err := json.Unmarshal(encoded, &in); err != nil {
				b.Fatal(err)
			}
			if err := in.Validate(); err != nil {
				b.Fatal(err)
			}
			var data PinData
			if err := in.DataAs(&data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
