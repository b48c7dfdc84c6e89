package jwt

import (
	"testing"
	"time"
)

func BenchmarkVerify(b *testing.B) {
	i := &issuer{url: "https://id.example"}
	i.publish(public("k1", rsaKey()), public("e1", ecKey()))
	v := must(New([]Issuer{keycloak(i.url)}, i.client(), nil))
	good := draftOf(keycloakClaims(i.url, time.Now()))
	for name, token := range map[string]string{"RS256": good.sign(), "ES256": good.head("alg", "ES256").head("kid", "e1").by(ecKey()).sign()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
