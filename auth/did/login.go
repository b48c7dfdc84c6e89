package did

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

const (
	// LoginType is what the header of an answer to a challenge says that it is.
	LoginType = "did-auth+jwt"
	// ChallengeLife is how long a challenge may be answered.
	ChallengeLife = 2 * time.Minute
	// skew is by how much the client's clock may differ from ours.
	skew = 60 * time.Second
)

// Nonces remember challenges, for all instances. Safe for concurrent use.
type Nonces interface {
	// Put remembers that a nonce was given to a DID, until a moment.
	Put(ctx context.Context, nonce, did string, until time.Time) error
	// Take takes a nonce away and returns to whom it was given, and false if it is not
	// there. Of those who take one nonce at a time, one gets it.
	Take(ctx context.Context, nonce string) (did string, ok bool, err error)
}

// Login is who a client shows with an answer to a challenge that it has the key of a DID.
// Safe for concurrent use.
type Login struct {
	gateway string
	nonces  Nonces
}

// NewLogin returns the login of the gateway with that public URL.
func NewLogin(gateway string, nonces Nonces) (*Login, error) {
	if err := checkGateway(gateway); err != nil {
		return nil, err
	}
	return &Login{gateway: gateway, nonces: nonces}, nil
}

// Challenge is what the client puts into its answer.
type Challenge struct {
	Nonce    string    `json:"nonce"`
	Audience string    `json:"aud"`
	Expires  time.Time `json:"exp"`
}

// Challenge returns a challenge for a DID, which nobody needs to have proved: its callers
// limit how often an address asks. An error is a *principal.Refusal or a
// *principal.Unavailable.
func (l *Login) Challenge(ctx context.Context, did string) (Challenge, error) {
	if _, err := Parse(did); err != nil {
		return Challenge{}, principal.RefuseMalformed("this is not a did:key of Ed25519, P-256 or secp256k1", err)
	}
	c := Challenge{Nonce: rand.Text(), Audience: l.gateway, Expires: time.Now().Add(ChallengeLife).UTC().Truncate(time.Second)}
	if err := l.nonces.Put(ctx, c.Nonce, did, c.Expires); err != nil {
		return Challenge{}, principal.CannotCheck(time.Second, fmt.Errorf("challenge: %w", err))
	}
	return c, nil
}

// answer is what a client signs.
type answer struct {
	Issuer   string  `json:"iss"`
	Subject  string  `json:"sub"`
	Audience string  `json:"aud"`
	Nonce    string  `json:"nonce"`
	Issued   float64 `json:"iat"`
	Expires  float64 `json:"exp"`
}

// refused is what is told of an answer that is not good, whatever is wrong: the client has
// made it itself.
const refused = "the answer to the challenge is not valid"

// Verify returns the DID that answered a challenge, with a JWS in compact serialization:
//
//	{"typ":"did-auth+jwt","alg":"EdDSA"}
//	{"iss":DID,"sub":DID,"aud":Challenge.Audience,"nonce":Challenge.Nonce,"iat":…,"exp":…}
//
// An error is a *principal.Refusal or a *principal.Unavailable. What is refused for
// anything but its nonce leaves the challenge to be answered.
func (l *Login) Verify(ctx context.Context, jws string) (string, error) {
	a, err := l.signed(jws)
	if err != nil {
		return "", principal.Refuse(refused, err)
	}
	did, ok, err := l.nonces.Take(ctx, a.Nonce)
	switch {
	case err != nil:
		return "", principal.CannotCheck(time.Second, fmt.Errorf("challenge: %w", err))
	case !ok || did != a.Subject:
		return "", principal.Refuse("the challenge is unknown, expired, or was answered", nil)
	}
	return did, nil
}

// signed returns what a JWS says, when its DID has signed it for us and now.
func (l *Login) signed(jws string) (answer, error) {
	header, err := jwt.Header(jws)
	if err != nil {
		return answer{}, err
	}
	parts := strings.Split(jws, ".") // three
	payload, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return answer{}, err
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return answer{}, err
	}
	var a answer
	if err := json.Unmarshal(payload, &a); err != nil {
		return answer{}, err
	}
	key, err := Parse(a.Issuer)
	if err != nil {
		return answer{}, err
	}
	if err := checkHeader(header, key); err != nil {
		return answer{}, err
	}
	if !key.Verify([]byte(parts[0]+"."+parts[1]), signature) {
		return answer{}, errors.New("the signature is wrong")
	}
	return a, a.check(l.gateway, time.Now())
}

// checkHeader returns an error unless a header says what it must of a key, and no more.
func checkHeader(header map[string]any, key Key) error {
	for name, value := range header {
		switch {
		case name == "typ" && value == LoginType:
		case name == "alg" && value == key.jose:
		case name == "kid" && value == key.URL():
		default:
			return fmt.Errorf("header has %.50q of %.200q", name, fmt.Sprint(value))
		}
	}
	if header["typ"] == nil || header["alg"] == nil {
		return errors.New("header has no typ or no alg")
	}
	return nil
}

func (a answer) check(gateway string, now time.Time) error {
	unix := float64(now.Unix())
	switch {
	case a.Subject != a.Issuer:
		return errors.New("sub and iss are two")
	case a.Audience != gateway:
		return fmt.Errorf("it is for %.200q", a.Audience)
	case a.Nonce == "" || len(a.Nonce) > 128:
		return errors.New("it has no nonce of 1 to 128 bytes")
	case a.Issued < unix-(ChallengeLife+skew).Seconds() || a.Issued > unix+skew.Seconds():
		return errors.New("iat is not now")
	case a.Expires < unix-skew.Seconds() || a.Expires > unix+(ChallengeLife+skew).Seconds():
		return errors.New("exp is past or far away")
	}
	return nil
}

// checkGateway returns an error for what cannot be put before the path of a request.
func checkGateway(gateway string) error {
	if !strings.HasPrefix(gateway, "https://") && !strings.HasPrefix(gateway, "http://") || strings.HasSuffix(gateway, "/") || strings.ContainsAny(gateway, "?# \"") {
		return fmt.Errorf("%.200q is not the URL of a gateway, without a slash at the end", gateway)
	}
	return nil
}
