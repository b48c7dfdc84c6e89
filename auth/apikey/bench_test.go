package apikey

import (
	"testing"
	"time"
)

func BenchmarkVerify(b *testing.B) {
	now := time.Now()
	peppers, err := NewPeppers(1, map[int][]byte{1: make([]byte, 32)})
	if err != nil {
		b.Fatal(err)
	}
	key, token, err := New("live", grant(now), peppers, now)
	if err != nil {
		b.Fatal(err)
	}
	v, err := NewVerifier(Config{Env: "live", Peppers: peppers, Store: &memory{keys: map[string]Key{key.ID: key}}})
	if err != nil {
		b.Fatal(err)
	}
	text := token.Text()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), text, home); err != nil {
			b.Fatal(err)
		}
	}
}
