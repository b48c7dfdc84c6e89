package invoice

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxDocument is how long the JSON of a document may be, in bytes.
const maxDocument = 16 << 20

// Canonical returns the document as canonical JSON (RFC 8785): the members sorted, nothing
// between them. That is what is kept, and what Digest is of.
func (d Document) Canonical() ([]byte, error) {
	text, err := canonical(d)
	if err != nil {
		return nil, fmt.Errorf("write a document as JSON: %w", err)
	}
	return text, nil
}

func canonical(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	value := jsontext.Value(text)
	if err := value.Canonicalize(); err != nil {
		return nil, err
	}
	return value, nil
}

// Digest returns the SHA-256 of the document's canonical JSON, in hex.
func (d Document) Digest() (string, error) {
	text, err := d.Canonical()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// DraftDigest returns the digest that the document had as a draft. A period that is made
// again later, of the same data, has the same, whatever number and date the first one got.
func (d Document) DraftDigest() (string, error) {
	d.Series, d.Number, d.Issued, d.Due = "", "", 0, 0
	return d.Digest()
}

// Parse reads a document from JSON, canonical or not, and checks it. It is an error if there
// is anything in the text that a document does not have.
func Parse(text []byte) (Document, error) {
	if len(text) > maxDocument {
		return Document{}, fmt.Errorf("a document of %d bytes is longer than %d", len(text), maxDocument)
	}
	var d Document
	if err := json.Unmarshal(text, &d, json.RejectUnknownMembers(true)); err != nil {
		return Document{}, fmt.Errorf("read a document: %w", err)
	}
	if err := d.Check(); err != nil {
		return Document{}, fmt.Errorf("a document is not right: %w", err)
	}
	return d, nil
}

// Verify reads a document that was kept, and checks that it is the one with a digest.
func Verify(text []byte, digest string) (Document, error) {
	d, err := Parse(text)
	if err != nil {
		return Document{}, err
	}
	has, err := d.Digest()
	if err != nil {
		return Document{}, err
	}
	if has != digest {
		return Document{}, fmt.Errorf("%s was changed: its digest is %s, not %s", d.title(), has, digest)
	}
	return d, nil
}
