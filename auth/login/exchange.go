package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// authorize is where a browser logs in.
func (p *provider) authorize(known *discovered, state string, f flow) string {
	options := []oauth2.AuthCodeOption{oidc.Nonce(f.nonce()), oauth2.S256ChallengeOption(f.verifier())}
	if p.Audience != "" {
		options = append(options, oauth2.SetAuthURLParam("audience", p.Audience))
	}
	return known.oauth.AuthCodeURL(state, options...)
}

// exchange returns the access token for a code, and the subject of the ID token that came
// with it, which is of this login. An error is a *principal.Refusal or a
// *principal.Unavailable.
func (p *provider) exchange(ctx context.Context, code string, f flow) (access, subject string, err error) {
	known, err := p.discover(ctx)
	if err != nil {
		return "", "", principal.CannotCheck(time.Second, fmt.Errorf("discovery of %s: %w", p.Issuer.URL, err))
	}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := known.oauth.Exchange(ctx, code, oauth2.VerifierOption(f.verifier()))
	if err != nil {
		return "", "", p.notExchanged(err)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return "", "", principal.CannotCheck(time.Minute, fmt.Errorf("%s sent no ID token", p.Issuer.URL))
	}
	keys := &watched{keys: known.keys}
	config := &oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: p.Issuer.Algorithms}
	id, err := oidc.NewVerifier(p.Issuer.URL, keys, config).Verify(ctx, raw)
	switch {
	case keys.down != nil:
		return "", "", principal.CannotCheck(time.Second, fmt.Errorf("keys of %s: %w", p.Issuer.URL, keys.down))
	case err != nil:
		return "", "", principal.Refuse(badID, err)
	}
	return token.AccessToken, id.Subject, p.checkID(id, token.AccessToken, f)
}

// badID is what is told of an ID token that is not good.
const badID = "the issuer's ID token is not of this login: begin again"

// checkID checks what go-oidc leaves to its callers.
func (p *provider) checkID(id *oidc.IDToken, access string, f flow) error {
	var claims struct {
		Party string `json:"azp"`
	}
	if err := id.Claims(&claims); err != nil {
		return principal.Refuse(badID, err)
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.nonce())) != 1:
		return principal.Refuse(badID, errors.New("the nonce is another"))
	case claims.Party != "" && claims.Party != p.ClientID, claims.Party == "" && len(id.Audience) > 1:
		return principal.Refuse(badID, errors.New("it was issued to another client"))
	case id.Subject == "":
		return principal.Refuse(badID, errors.New("it has no subject"))
	case id.AccessTokenHash == "":
		return nil
	}
	if err := id.VerifyAccessToken(access); err != nil {
		return principal.Refuse(badID, err)
	}
	return nil
}

// notExchanged says whose fault it is that a code was not exchanged. The client's, only if
// the code is not good; all else it cannot help. What the issuer sent is not repeated: it
// may hold anything.
func (p *provider) notExchanged(err error) error {
	var answer *oauth2.RetrieveError
	switch {
	case !errors.As(err, &answer):
		return principal.CannotCheck(time.Second, fmt.Errorf("tokens of %s: %w", p.Issuer.URL, err))
	case answer.ErrorCode == "invalid_grant":
		return principal.Refuse("the issuer does not take the code, or no longer: begin again", nil)
	}
	return principal.CannotCheck(time.Second, fmt.Errorf("tokens of %s: it answers %s, %.100q", p.Issuer.URL, answer.Response.Status, answer.ErrorCode))
}

// watched remembers that keys could not be fetched, which go-oidc reports like a signature
// that is wrong. It is of one verification.
type watched struct {
	keys *oidc.RemoteKeySet
	down error
}

// VerifySignature implements oidc.KeySet.
func (w *watched) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := w.keys.VerifySignature(ctx, token)
	if cause := errors.Unwrap(err); cause != nil {
		w.down = brief(cause) // of what is wrong with a token there is no cause
	}
	return payload, err
}
