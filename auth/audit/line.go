package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxLine is how many bytes a line has at most, its end included.
const MaxLine = 512 << 10

// hash is a SHA-256.
type hash [sha256.Size]byte

func (h hash) String() string { return hex.EncodeToString(h[:]) }

// The form of a line, which is itself canonical JSON:
//
//	{"hash":"…","prev":"…","record":{…}}
//
// hash is the SHA-256 of prev, as 32 bytes, and of the record as it stands. The first
// line of a chain has a prev of zeros.
const (
	beforeHash = `{"hash":"`
	beforePrev = `","prev":"`
	beforeBody = `","record":`
	afterBody  = `}`

	hashAt  = len(beforeHash)
	prevAt  = hashAt + 2*sha256.Size + len(beforePrev)
	bodyAt  = prevAt + 2*sha256.Size + len(beforeBody)
	minLine = bodyAt + len(`{}`) + len(afterBody)
)

// entry is a line that was read.
type entry struct {
	hash, prev hash
	record     Record
	// sum is what hash should be.
	sum hash
}

// canonical returns a value as canonical JSON (RFC 8785).
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

func sum(prev hash, body []byte) hash {
	h := sha256.New()
	h.Write(prev[:])
	h.Write(body)
	return hash(h.Sum(nil))
}

// appendLine appends a record as the line after prev, with its end, and returns its hash.
func appendLine(to []byte, prev hash, r *Record) ([]byte, hash, error) {
	body, err := canonical(r)
	if err != nil {
		return to, hash{}, err
	}
	if bodyAt+len(body)+len(afterBody)+1 > MaxLine {
		return to, hash{}, fmt.Errorf("a record has %d bytes, more than %d", len(body), MaxLine)
	}
	h := sum(prev, body)
	to = append(to, beforeHash...)
	to = hex.AppendEncode(to, h[:])
	to = append(to, beforePrev...)
	to = hex.AppendEncode(to, prev[:])
	to = append(to, beforeBody...)
	to = append(to, body...)
	return append(to, afterBody+"\n"...), h, nil
}

// parseLine reads a line without its end. It checks the form and not the hash: that is
// entry.sum. Fields of a later version are left out.
func parseLine(line []byte) (entry, error) {
	var e entry
	if len(line) < minLine || len(line) >= MaxLine {
		return e, fmt.Errorf("a line of %d bytes is no record", len(line))
	}
	body := line[bodyAt : len(line)-len(afterBody)]
	if string(line[:hashAt]) != beforeHash || string(line[prevAt-len(beforePrev):prevAt]) != beforePrev ||
		string(line[bodyAt-len(beforeBody):bodyAt]) != beforeBody || line[len(line)-1] != afterBody[0] {
		return e, errors.New("a line is no record")
	}
	if err := errors.Join(decodeHash(&e.hash, line[hashAt:]), decodeHash(&e.prev, line[prevAt:])); err != nil {
		return e, err
	}
	value := jsontext.Value(bytes.Clone(body))
	if err := value.Canonicalize(); err != nil {
		return e, fmt.Errorf("a record is not JSON: %w", err)
	}
	if !bytes.Equal(value, body) {
		return e, errors.New("a record is not canonical JSON")
	}
	if err := json.Unmarshal(body, &e.record); err != nil {
		return e, fmt.Errorf("a record is not one: %w", err)
	}
	if e.record.Version < Version || e.record.Seq < 1 || e.record.Kind == "" || checkWriter(e.record.Writer) != nil {
		return e, errors.New("a record has no version, writer, number or kind")
	}
	e.sum = sum(e.prev, body)
	return e, nil
}

// decodeHash reads a hash in the one form that it is written in.
func decodeHash(h *hash, from []byte) error {
	text := from[:2*sha256.Size]
	if _, err := hex.Decode(h[:], text); err != nil || !bytes.Equal(bytes.ToLower(text), text) {
		return errors.New("a hash is not one")
	}
	return nil
}

// checkWriter says whether a name can be that of a writer, which is part of the names
// of files.
func checkWriter(name string) error {
	if name == "" || len(name) > 64 {
		return errors.New("the name of a writer has 1 to 64 characters")
	}
	for i, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || i == 0) {
			return fmt.Errorf("the name of a writer is of a-z, 0-9 and -: %q", name)
		}
	}
	return nil
}
