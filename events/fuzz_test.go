package events

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzParse feeds arbitrary bytes to Parse: it never panics, an error is of one kind,
// and what it accepts can be told again as the same fact.
func FuzzParse(f *testing.F) {
	for name, e := range samples() {
		f.Add(readGolden(f, name))
		f.Add(encode(f, e))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := Parse(text)
		if err != nil {
			if errors.Is(err, ErrUnknown) == errors.Is(err, ErrMalformed) {
				t.Fatalf("the error is of no kind or of two: %v", err)
			}
			return
		}
		encoded := encode(t, e)
		again, err := Parse(encoded)
		if err != nil {
			t.Fatalf("%s: %v", encoded, err)
		}
		if again.ID() != e.ID() || again.Key() != e.Key() || again.Version() != e.Version() || again.Type != e.Type || again.Source != e.Source {
			t.Fatalf("%+v came back as %+v", e, again)
		}
		if len(text) < MaxBytes/8 && e.Pin != nil && (e.Pin.Pin == nil) != (again.Pin.Pin == nil) {
			t.Fatalf("%s loses its pin: %s", text, again.Pin.Omitted)
		}
		if !bytes.Equal(encode(t, again), encoded) {
			t.Fatalf("%s became %s", encoded, encode(t, again))
		}
	})
}

// FuzzParseManifest is FuzzParse for the positions, of which a text is one at most.
func FuzzParseManifest(f *testing.F) {
	for name := range positions() {
		f.Add(readGolden(f, name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, notManifest := ParseManifest(text)
		if notManifest == nil {
			if again, err := ParseManifest(encode(t, m)); err != nil || !again.Through.Equal(m.Through) || again.N != m.N || again.Epoch != m.Epoch || again.Shard != m.Shard || !again.Latest.Equal(m.Latest) {
				t.Fatalf("%+v came back as %+v, %v", m, again, err)
			}
		}
		r, notResume := ParseResume(text)
		if notResume == nil {
			if again, err := ParseResume(encode(t, r)); err != nil || !again.From.Equal(r.From) || again.Epoch != r.Epoch || again.Shard != r.Shard || again.After != r.After || again.N != r.N {
				t.Fatalf("%+v came back as %+v, %v", r, again, err)
			}
		}
		e, notReplayed := ParseReplayed(text)
		if notReplayed == nil {
			if again, err := ParseReplayed(encode(t, e)); err != nil || !again.From.Equal(e.From) || !again.Through.Equal(e.Through) || again.Replay != e.Replay || again.N != e.N {
				t.Fatalf("%+v came back as %+v, %v", e, again, err)
			}
		}
		if notManifest == nil && notResume == nil || notManifest == nil && notReplayed == nil || notResume == nil && notReplayed == nil {
			t.Fatalf("%s is two", text)
		}
		for _, err := range []error{notManifest, notResume, notReplayed} {
			if err != nil && errors.Is(err, ErrUnknown) == errors.Is(err, ErrMalformed) {
				t.Fatalf("the error is of no kind or of two: %v", err)
			}
		}
	})
}
