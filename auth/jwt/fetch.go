package jwt

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Limits of what an issuer may send.
const (
	maxDocument = 512 << 10 // bytes
	maxKeys     = 100
)

// source is where the keys of an issuer are.
type source struct {
	issuer, jwks string
	allowHTTP    bool
	client       *http.Client
}

// withoutRedirects returns a client that does not follow an issuer elsewhere.
func withoutRedirects(client *http.Client) *http.Client {
	if client == nil {
		client = http.DefaultClient
	}
	ours := *client
	ours.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &ours
}

// keys returns the keys with which the issuer may sign. None, without an error, if it says
// that it has none.
func (s source) keys(ctx context.Context) ([]jose.JSONWebKey, error) {
	jwks := s.jwks
	if jwks == "" {
		var err error
		if jwks, err = s.discover(ctx); err != nil {
			return nil, fmt.Errorf("discovery: %w", err)
		}
	}
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := s.get(ctx, jwks, &set); err != nil {
		return nil, err
	}
	switch {
	case set.Keys == nil:
		return nil, errors.New("the key set has no keys member")
	case len(*set.Keys) > maxKeys:
		return nil, fmt.Errorf("%d keys are more than %d", len(*set.Keys), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, text := range *set.Keys {
		// What is not understood is left out (RFC 7517, section 5).
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(text); err == nil && signs(key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 && len(*set.Keys) > 0 {
		return nil, fmt.Errorf("none of %d keys is for verifying signatures", len(*set.Keys))
	}
	return keys, nil
}

// discover returns the URL of the keys (OpenID Connect Discovery 1.0, section 4).
func (s source) discover(ctx context.Context) (string, error) {
	var document struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := s.get(ctx, strings.TrimSuffix(s.issuer, "/")+"/.well-known/openid-configuration", &document); err != nil {
		return "", err
	}
	if document.Issuer != s.issuer {
		return "", fmt.Errorf("%.200q says that it is %.200q", s.issuer, document.Issuer)
	}
	return document.JWKS, checkURL(document.JWKS, s.allowHTTP)
}

// get reads a document.
func (s source) get(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", url, err)
	case len(body) > maxDocument:
		return fmt.Errorf("%s has more than %d bytes", url, maxDocument)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	return nil
}

// signs tells whether a key is public, for signatures, and strong enough for any of our
// algorithms.
func signs(key jose.JSONWebKey) bool {
	if !key.IsPublic() || !key.Valid() || key.Use != "" && key.Use != "sig" {
		return false
	}
	return slices.ContainsFunc(asymmetric, func(algorithm string) bool { return suits(key.Key, algorithm) })
}

// suits tells whether a key is of the type that an algorithm needs.
func suits(key any, algorithm string) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		return (strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")) && bits >= 2048 && bits <= 8192
	case *ecdsa.PublicKey:
		return algorithm == "ES256" && key.Curve == elliptic.P256() ||
			algorithm == "ES384" && key.Curve == elliptic.P384() ||
			algorithm == "ES512" && key.Curve == elliptic.P521()
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}
