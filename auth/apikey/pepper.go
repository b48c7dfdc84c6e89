package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
)

// DigestSize is the size of Key.Digest.
const DigestSize = sha256.Size

// minPepper is the least size of a pepper, in bytes.
const minPepper = 32

// Peppers are the secrets that stand outside of the store, by version. New keys have the
// current one; an older one is needed until the last key with it has ended. Printing them
// does not show them.
type Peppers struct {
	current int
	values  map[int][]byte
}

// NewPeppers returns peppers of which one is current.
func NewPeppers(current int, values map[int][]byte) (Peppers, error) {
	if values[current] == nil {
		return Peppers{}, fmt.Errorf("the pepper of version %d is missing", current)
	}
	for version, value := range values {
		if len(value) < minPepper {
			return Peppers{}, fmt.Errorf("the pepper of version %d has %d bytes, less than %d", version, len(value), minPepper)
		}
	}
	return Peppers{current: current, values: maps.Clone(values)}, nil
}

// Format writes nothing of them, whatever the verb.
func (p Peppers) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%d peppers", len(p.values)) }

var errPepper = errors.New("the pepper of the key's version is not configured here")

// digest returns the HMAC of a key. All of the token is in it, so that it is of use in no
// other row.
func (p Peppers) digest(version int, token Token) [DigestSize]byte {
	mac := hmac.New(sha256.New, p.values[version])
	mac.Write([]byte("icp api key 1\x00" + token.Env + "_" + token.ID + "_" + token.secret))
	return [DigestSize]byte(mac.Sum(nil))
}
