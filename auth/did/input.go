package did

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// digestName and typeName are headers as components of a signature.
const (
	digestName = "content-digest"
	typeName   = "content-type"
)

// input is a signature and what it says that it covers.
type input struct {
	components []string
	params     string // as the signature covers them
	signature  []byte

	created, expires     time.Time // expires may be zero
	nonce, keyID         string
	algorithm, tag, name string // the first may be empty
}

// parseInput reads the one signature of a request. What it does not understand is an
// error: nothing is covered that does not count.
func parseInput(h http.Header) (input, error) {
	described, err := dictionary(h, "Signature-Input")
	if err != nil {
		return input{}, err
	}
	signatures, err := dictionary(h, "Signature")
	if err != nil {
		return input{}, err
	}
	names := described.Names()
	if len(names) != 1 || !slices.Equal(names, signatures.Names()) {
		return input{}, errors.New("there must be one signature with one label")
	}
	in := input{name: names[0]}
	member, _ := described.Get(in.name)
	list, ok := member.(httpsfv.InnerList)
	if !ok {
		return input{}, errors.New("the header Signature-Input is not a list of components")
	}
	member, _ = signatures.Get(in.name)
	item, _ := member.(httpsfv.Item)
	if in.signature, ok = item.Value.([]byte); !ok || len(in.signature) != signatureLen {
		return input{}, fmt.Errorf("the header Signature is not %d bytes", signatureLen)
	}
	for _, component := range list.Items {
		name, ok := component.Value.(string)
		if !ok || len(component.Params.Names()) > 0 || slices.Contains(in.components, name) || !slices.Contains([]string{"@method", "@target-uri", digestName, typeName}, name) {
			return input{}, errors.New(`components are "@method", "@target-uri", "content-digest" and "content-type", each once and without parameters`)
		}
		in.components = append(in.components, name)
	}
	if err := in.readParams(list.Params); err != nil {
		return input{}, err
	}
	if in.params, err = httpsfv.Marshal(list); err != nil {
		return input{}, err
	}
	return in, nil
}

// dictionary reads a header that is there once.
func dictionary(h http.Header, name string) (*httpsfv.Dictionary, error) {
	values := h.Values(name)
	if len(values) != 1 || len(values[0]) > maxHeader {
		return nil, fmt.Errorf("the header %s must be there once, with at most %d bytes", name, maxHeader)
	}
	read, err := httpsfv.UnmarshalDictionary(values)
	if err != nil {
		return nil, fmt.Errorf("the header %s is not a dictionary", name)
	}
	return read, nil
}

func (in *input) readParams(params *httpsfv.Params) error {
	times := map[string]*time.Time{"created": &in.created, "expires": &in.expires}
	texts := map[string]*string{"nonce": &in.nonce, "keyid": &in.keyID, "alg": &in.algorithm, "tag": &in.tag}
	for _, name := range params.Names() {
		value, _ := params.Get(name)
		seconds, isNumber := value.(int64)
		text, isText := value.(string)
		switch {
		case times[name] != nil && isNumber:
			*times[name] = time.Unix(seconds, 0)
		case texts[name] != nil && isText && text != "":
			*texts[name] = text
		default:
			return fmt.Errorf("parameter %.20q is unknown or of the wrong type", name)
		}
	}
	if in.created.IsZero() || in.nonce == "" || in.keyID == "" || in.tag == "" {
		return errors.New("created, nonce, keyid and tag are needed")
	}
	return nil
}

func (in *input) covers(name string) bool { return slices.Contains(in.components, name) }

// check returns the key that is said to have signed, if a signature of it would do.
func (in *input) check(r *http.Request, now time.Time) (Key, error) {
	did, fragment, _ := strings.Cut(in.keyID, "#")
	key, err := Parse(did)
	switch {
	case err != nil:
		return Key{}, errors.New("keyid is not a did:key of Ed25519, P-256 or secp256k1")
	case fragment != "" && in.keyID != key.URL():
		return Key{}, errors.New("keyid names another key than its DID")
	case in.algorithm != "" && in.algorithm != key.http:
		return Key{}, errors.New("alg is not the algorithm of the key: leave it out")
	case in.tag != Tag:
		return Key{}, fmt.Errorf("tag is not %q", Tag)
	case len(in.nonce) < minNonce || len(in.nonce) > maxNonce:
		return Key{}, fmt.Errorf("nonce does not have %d to %d characters", minNonce, maxNonce)
	case in.created.Before(now.Add(-Window)) || in.created.After(now.Add(Window)):
		return Key{}, fmt.Errorf("created is not within %v of now", Window)
	case !in.expires.IsZero() && !now.Before(in.expires):
		return Key{}, errors.New("it expired")
	case !in.covers("@method") || !in.covers("@target-uri"):
		return Key{}, errors.New(`"@method" and "@target-uri" must be covered`)
	case hasBody(r) && !in.covers(digestName):
		return Key{}, errors.New(`"content-digest" must be covered where there is a body`)
	}
	return key, nil
}

// base returns what was signed (RFC 9421, section 2.5).
func (in *input) base(gateway string, r *http.Request) (string, error) {
	if !strings.HasPrefix(r.RequestURI, "/") {
		return "", errors.New("its target is not a path")
	}
	var b strings.Builder
	for _, name := range in.components {
		var value string
		switch name {
		case "@method":
			value = r.Method
		case "@target-uri":
			value = gateway + r.RequestURI
		default:
			values := r.Header.Values(name)
			if len(values) != 1 {
				return "", fmt.Errorf("header %s is covered and must be there once", name)
			}
			value = strings.TrimSpace(values[0])
		}
		fmt.Fprintf(&b, "%q: %s\n", name, value)
	}
	fmt.Fprintf(&b, "%q: %s", "@signature-params", in.params)
	return b.String(), nil
}
