package did

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

const (
	// Window is how long before or after now a signature may have been made.
	Window = 60 * time.Second
	// DefaultBody is how many bytes the body of a signed request may have.
	DefaultBody = 64 << 10
	// Tag is what a signature says that it is for.
	Tag = "ipfs-pin"

	maxHeader = 4 << 10 // bytes of each header of a signature
	minNonce  = 16      // characters
	maxNonce  = 128
)

// Replays remember what was used, for all instances. Safe for concurrent use.
type Replays interface {
	// First tells whether a key was not seen before, and remembers it until a moment. Of
	// those who show one key at a time, one is first.
	First(ctx context.Context, key string, until time.Time) (bool, error)
}

// Signatures verifies signed requests. Safe for concurrent use.
type Signatures struct {
	gateway string
	replays Replays
	maxBody int64
}

// NewSignatures returns a verifier of requests to the gateway with that public URL, which
// stands before the path of each request: no header says what it is. Of a body, at most
// maxBody bytes are read; zero means DefaultBody.
func NewSignatures(gateway string, replays Replays, maxBody int64) (*Signatures, error) {
	if err := checkGateway(gateway); err != nil {
		return nil, err
	}
	if maxBody == 0 {
		maxBody = DefaultBody
	}
	return &Signatures{gateway: gateway, replays: replays, maxBody: maxBody}, nil
}

// Accept returns what clients are asked for, as the header Accept-Signature has it.
func (s *Signatures) Accept() string {
	return `sig=("@method" "@target-uri" "content-digest");created;nonce;keyid;tag="` + Tag + `"`
}

// Verify returns the DID that signed the request. It reads a body that the signature
// covers, and leaves the same. An error is a *principal.Refusal or a
// *principal.Unavailable, or the one of admit.
//
// admit is called once the DID is proved to have signed this request, and before anything is
// remembered of it: everybody can make DIDs, and those whom admit refuses write nothing.
func (s *Signatures) Verify(r *http.Request, admit func(did string) error) (string, error) {
	in, err := parseInput(r.Header)
	if err != nil {
		return "", principal.RefuseMalformed("the signature of the request cannot be read: "+err.Error(), nil)
	}
	now := time.Now()
	key, err := in.check(r, now)
	if err != nil {
		return "", principal.Refuse("the signature of the request is not acceptable: "+err.Error(), nil)
	}
	base, err := in.base(s.gateway, r)
	if err != nil {
		return "", principal.RefuseMalformed("the request cannot be signed: "+err.Error(), nil)
	}
	if !key.Verify([]byte(base), in.signature) {
		return "", principal.Refuse("the signature of the request is wrong", nil)
	}
	if in.covers(digestName) {
		if err := s.checkBody(r); err != nil {
			return "", principal.Refuse("the body is not the one that was signed: "+err.Error(), nil)
		}
	}
	if err := admit(key.DID); err != nil {
		return "", err
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return key.DID, nil
	}
	// It may come again until it is too old for the instance with the slowest clock.
	first, err := s.replays.First(r.Context(), key.DID+" "+in.nonce, in.created.Add(3*Window))
	switch {
	case err != nil:
		return "", principal.CannotCheck(time.Second, fmt.Errorf("nonce: %w", err))
	case !first:
		return "", principal.Refuse("the nonce of the signature was used before", nil)
	}
	return key.DID, nil
}

// hasBody tells whether a request may have one.
func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// checkBody compares the body with the header Content-Digest (RFC 9530).
func (s *Signatures) checkBody(r *http.Request) error {
	digests, err := dictionary(r.Header, "Content-Digest")
	if err != nil {
		return err
	}
	var body []byte
	if r.Body != nil {
		if body, err = io.ReadAll(io.LimitReader(r.Body, s.maxBody+1)); err != nil {
			return fmt.Errorf("it was not read: %w", err)
		}
		if int64(len(body)) > s.maxBody {
			return fmt.Errorf("it has more than %d bytes", s.maxBody)
		}
		r.Body = readCloser{Reader: bytes.NewReader(body), Closer: r.Body}
	}
	known := 0
	for _, name := range digests.Names() {
		var sum []byte
		switch name {
		case "sha-256":
			digest := sha256.Sum256(body)
			sum = digest[:]
		case "sha-512":
			digest := sha512.Sum512(body)
			sum = digest[:]
		default:
			continue
		}
		member, _ := digests.Get(name)
		item, _ := member.(httpsfv.Item)
		if said, ok := item.Value.([]byte); !ok || !bytes.Equal(said, sum) {
			return fmt.Errorf("its %s differs", name)
		}
		known++
	}
	if known == 0 {
		return errors.New("the header Content-Digest has neither sha-256 nor sha-512")
	}
	return nil
}

// readCloser is a body that was read, which closes what it was read from.
type readCloser struct {
	io.Reader
	io.Closer
}
