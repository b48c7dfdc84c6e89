package evm

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"golang.org/x/crypto/sha3"
)

// Address is that of an account or a contract.
type Address [20]byte

// Hash is that of a block or a transaction, or a topic of a log.
type Hash [32]byte

// Quantity is a number as JSON-RPC writes it: 0x and hexadecimal digits.
type Quantity uint64

// Data is bytes as JSON-RPC writes them.
type Data []byte

// Keccak is Ethereum's hash of all parts, one after the other.
func Keccak(parts ...[]byte) Hash {
	h := sha3.NewLegacyKeccak256()
	for _, part := range parts {
		h.Write(part)
	}
	return Hash(h.Sum(nil))
}

// ParseAddress reads an address: 0x and 40 hexadecimal digits. Those of both cases must be
// as EIP-55 has them, so that most typing errors are found.
func ParseAddress(text string) (Address, error) {
	var a Address
	if err := decodeHex(a[:], text); err != nil {
		return Address{}, fmt.Errorf("%.80q is not an address: %w", text, err)
	}
	digits := text[2:]
	if digits != strings.ToLower(digits) && digits != strings.ToUpper(digits) && text != a.String() {
		return Address{}, fmt.Errorf("%q is not an address: its capitals are not those of EIP-55, so that a digit may be wrong", text)
	}
	return a, nil
}

// String writes it with the capitals of EIP-55.
func (a Address) String() string {
	text := []byte(hex.EncodeToString(a[:]))
	sum := Keccak(text)
	for i, c := range text {
		if nibble := sum[i/2] >> (4 * (1 - i%2)) & 15; c >= 'a' && nibble >= 8 {
			text[i] = c - 'a' + 'A'
		}
	}
	return "0x" + string(text)
}

// MarshalText implements encoding.TextMarshaler.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what ParseAddress does.
func (a *Address) UnmarshalText(text []byte) error {
	got, err := ParseAddress(string(text))
	if err == nil {
		*a = got
	}
	return err
}

// Topic is the address as a log has it.
func (a Address) Topic() Hash {
	var h Hash
	copy(h[12:], a[:])
	return h
}

// Address is that which a topic stands for, and false if it is of another kind.
func (h Hash) Address() (Address, bool) {
	return Address(h[12:]), [12]byte(h[:12]) == [12]byte{}
}

func (h Hash) String() string { return "0x" + hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 0x and 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if err := decodeHex(h[:], string(text)); err != nil {
		return fmt.Errorf("%.80q is not a hash: %w", text, err)
	}
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (q Quantity) MarshalText() ([]byte, error) {
	return []byte("0x" + strconv.FormatUint(uint64(q), 16)), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (q *Quantity) UnmarshalText(text []byte) error {
	digits, ok := strings.CutPrefix(string(text), "0x")
	n, err := strconv.ParseUint(digits, 16, 64)
	if !ok || err != nil {
		return fmt.Errorf("%.80q is not a quantity of up to 64 bits", text)
	}
	*q = Quantity(n)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Data) MarshalText() ([]byte, error) { return []byte("0x" + hex.EncodeToString(d)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Data) UnmarshalText(text []byte) error {
	digits, ok := strings.CutPrefix(string(text), "0x")
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return fmt.Errorf("%.80q is not hexadecimal data", text)
	}
	*d = raw
	return nil
}

// Word returns the n-th 32 bytes as a number.
func (d Data) Word(n int) *big.Int {
	return new(big.Int).SetBytes(d[32*n : 32*n+32])
}

// decodeHex fills all of to.
func decodeHex(to []byte, text string) error {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok || len(digits) != 2*len(to) {
		return fmt.Errorf("it is 0x and %d hexadecimal digits", 2*len(to))
	}
	if _, err := hex.Decode(to, []byte(digits)); err != nil {
		return errors.New("it has something that is not a hexadecimal digit")
	}
	return nil
}
