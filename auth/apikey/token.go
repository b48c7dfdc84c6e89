// Package apikey makes and verifies the keys that the gateway hands out:
// icp_<env>_<id>_<secret>_<crc>.
//
// Promised: a key passes if this gateway made it for this environment, it has neither
// expired nor been revoked, and it is used from where it may be. A revocation that is in the
// store is in force on every instance within 5 seconds (package recent). While the store
// does not answer, keys that were seen in the last 5 seconds pass, and nobody is told that
// a key is bad.
//
// An attacker who reads the store cannot use any key in it: it has HMACs of the secrets, made
// with a pepper that is not there. Who writes to the store cannot move a secret to another
// key's row: the HMAC is also of the id. Guessing is of 256 bits. Whether an id exists, why
// a key is bad, or how much of a secret is right, cannot be told from what is answered
// unless one has the secret; the same work is done for ids that do not exist.
package apikey

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
)

// The parts of a key.
const (
	Prefix   = "icp_" // what scanners for secrets look for
	idLen    = 12
	secretLn = 43 // of 62 characters: 256 bits
	crcLen   = 6
	maxEnv   = 8

	// MaxBytes bounds the text of a key.
	MaxBytes = len(Prefix) + maxEnv + 1 + idLen + 1 + secretLn + 1 + crcLen
)

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Token is a key as a client sends it. Printing it does not show the secret.
type Token struct {
	Env, ID string
	secret  string
}

// Text returns the key with its secret, for the one who gets it.
func (t Token) Text() string {
	body := Prefix + t.Env + "_" + t.ID + "_" + t.secret
	return body + "_" + checksum(body)
}

// Format writes the key without its secret, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, Prefix, t.Env, "_", t.ID, "_…")
}

var errForm = errors.New("it does not have the form of a key")

// Parse reads the text of a key. An error says nothing of the text.
func Parse(text string) (Token, error) {
	rest, ok := strings.CutPrefix(text, Prefix)
	if !ok || len(text) > MaxBytes {
		return Token{}, errForm
	}
	parts := strings.Split(rest, "_")
	if len(parts) != 4 || !isEnv(parts[0]) || !isOf(parts[1], idLen) || !isOf(parts[2], secretLn) || !isOf(parts[3], crcLen) {
		return Token{}, errForm
	}
	if parts[3] != checksum(text[:len(text)-crcLen-1]) {
		return Token{}, errors.New("its checksum is wrong: a character was lost or changed")
	}
	return Token{Env: parts[0], ID: parts[1], secret: parts[2]}, nil
}

// isEnv tells whether a text can be the name of an environment: 1 to 8 lower-case letters.
func isEnv(text string) bool {
	return text != "" && len(text) <= maxEnv && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz") == ""
}

func isOf(text string, length int) bool {
	return len(text) == length && strings.Trim(text, digits) == ""
}

// checksum is the CRC-32 of the rest of a key. It finds typing errors without a look into
// the store, and proves nothing.
func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	text := make([]byte, crcLen)
	for i := range text {
		text[len(text)-1-i] = digits[sum%62]
		sum /= 62
	}
	return string(text)
}

// newToken draws a key.
func newToken(env string) Token {
	return Token{Env: env, ID: draw(idLen), secret: draw(secretLn)}
}

// draw returns digits, all equally likely.
func draw(length int) string {
	text := make([]byte, 0, length)
	for len(text) < length {
		var random [64]byte
		rand.Read(random[:])
		for _, b := range random {
			if b < 4*62 && len(text) < length {
				text = append(text, digits[b%62])
			}
		}
	}
	return string(text)
}
