// Package siwe verifies Sign-In with Ethereum (EIP-4361): who holds the key of an address,
// by a text that a wallet signed.
//
// Promised: a DID (did:pkh) is returned if the key of its address signed a text of
// EIP-4361 for this gateway, on a chain that is allowed, a moment ago, with a nonce that
// this gateway gave to this client and that was not used before. Only accounts with a key
// (EOA) are supported: wallets that are contracts are refused, and say so.
//
// An attacker who has a text that a wallet signed for another site, or for another chain,
// cannot use it here; one who saw it on the way cannot use it again, nor with a nonce that he
// had asked for. No text but one of EIP-4361 is ever taken, so that no signature that a
// wallet made for something else counts.
package siwe

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxBytes bounds a text.
	MaxBytes = 4 << 10
	// MaxResources bounds the list at its end.
	MaxResources = 32
)

// Message is a text of EIP-4361.
type Message struct {
	// Scheme is that of the site; may be empty. Domain is its host, with a port if there
	// is one.
	Scheme, Domain string
	// Address is the account, with the checksum of EIP-55.
	Address string
	// Statement is for people; may be empty.
	Statement string
	URI       string
	ChainID   uint64
	Nonce     string
	// IssuedAt is always there; the other moments may be zero.
	IssuedAt, ExpirationTime, NotBefore time.Time
	RequestID                           string
	Resources                           []string
}

const wants = " wants you to sign in with your Ethereum account:"

// Characters of RFC 3986, and those of nonces.
const (
	alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	unreserved   = alphanumeric + "-._~"
	subDelims    = "!$&'()*+,;="
	pchar        = unreserved + subDelims + "%:@"
	reserved     = ":/?#[]@" + subDelims
)

// Parse reads a text. It takes what the grammar of EIP-4361 says and nothing else: what
// one reader would skip, another may read.
func Parse(text string) (Message, error) {
	if len(text) > MaxBytes {
		return Message{}, fmt.Errorf("the text has more than %d bytes", MaxBytes)
	}
	lines := reader(strings.Split(text, "\n"))
	var m Message
	for _, step := range []func(*reader) error{m.readHead, m.readFields, m.readOptions} {
		if err := step(&lines); err != nil {
			return Message{}, err
		}
	}
	if len(lines) > 0 {
		return Message{}, fmt.Errorf("line %.50q has no place there", lines[0])
	}
	return m, nil
}

// reader has the lines that were not read yet.
type reader []string

// next returns the next line, empty after the last.
func (r *reader) next() string {
	if len(*r) == 0 {
		return ""
	}
	line := (*r)[0]
	*r = (*r)[1:]
	return line
}

// field returns what is behind a name in the next line, and false if that has another.
func (r *reader) field(name string) (string, bool) {
	if len(*r) == 0 {
		return "", false
	}
	value, ok := strings.CutPrefix((*r)[0], name)
	if ok {
		r.next()
	}
	return value, ok
}

func (m *Message) readHead(r *reader) error {
	domain, ok := strings.CutSuffix(r.next(), wants)
	if !ok {
		return errors.New("it is not a text of EIP-4361")
	}
	if scheme, rest, ok := strings.Cut(domain, "://"); ok {
		if !only(scheme, alphanumeric+"+-.") || scheme == "" {
			return errors.New("its scheme is not one")
		}
		m.Scheme, domain = scheme, rest
	}
	if m.Domain = domain; domain == "" || !only(domain, unreserved+subDelims+"%:[]@") {
		return errors.New("its domain is not one")
	}
	if m.Address = r.next(); checksummed(m.Address) != m.Address {
		return errors.New("its address is not one with the checksum of EIP-55")
	}
	if r.next() != "" {
		return errors.New("there is no empty line behind its address")
	}
	if m.Statement = r.next(); m.Statement == "" {
		return nil
	}
	if !only(m.Statement, unreserved+reserved+" ") {
		return errors.New("its statement has characters that must not be there")
	}
	if r.next() != "" {
		return errors.New("there is no empty line behind its statement")
	}
	return nil
}

func (m *Message) readFields(r *reader) error {
	uri, ok := r.field("URI: ")
	if m.URI = uri; !ok || !isURI(uri) {
		return errors.New("its URI is missing or not one")
	}
	if version, ok := r.field("Version: "); !ok || version != "1" {
		return errors.New("its version is not 1")
	}
	chain, ok := r.field("Chain ID: ")
	id, err := strconv.ParseUint(chain, 10, 64)
	if m.ChainID = id; !ok || err != nil || strconv.FormatUint(id, 10) != chain {
		return errors.New("its chain id is missing or not a number")
	}
	m.Nonce, ok = r.field("Nonce: ")
	if !ok || len(m.Nonce) < 8 || !only(m.Nonce, alphanumeric) {
		return errors.New("its nonce is missing, or not 8 or more letters and digits")
	}
	issued, ok := r.field("Issued At: ")
	if !ok {
		return errors.New("it does not say when it was issued")
	}
	return moment(&m.IssuedAt, issued)
}

func (m *Message) readOptions(r *reader) error {
	if value, ok := r.field("Expiration Time: "); ok {
		if err := moment(&m.ExpirationTime, value); err != nil {
			return err
		}
	}
	if value, ok := r.field("Not Before: "); ok {
		if err := moment(&m.NotBefore, value); err != nil {
			return err
		}
	}
	if value, ok := r.field("Request ID: "); ok {
		if m.RequestID = value; !only(value, pchar) {
			return errors.New("its request id has characters that must not be there")
		}
	}
	if rest, ok := r.field("Resources:"); !ok {
		return nil
	} else if rest != "" {
		return errors.New("its resources do not begin in a line of their own")
	}
	for {
		resource, ok := r.field("- ")
		switch {
		case !ok:
			return nil
		case !isURI(resource) || len(m.Resources) == MaxResources:
			return fmt.Errorf("its resources are not at most %d URIs", MaxResources)
		}
		m.Resources = append(m.Resources, resource)
	}
}

// String returns the text.
func (m Message) String() string {
	var b strings.Builder
	if m.Scheme != "" {
		b.WriteString(m.Scheme + "://")
	}
	b.WriteString(m.Domain + wants + "\n" + m.Address + "\n\n")
	if m.Statement != "" {
		b.WriteString(m.Statement + "\n")
	}
	fmt.Fprintf(&b, "\nURI: %s\nVersion: 1\nChain ID: %d\nNonce: %s\nIssued At: %s", m.URI, m.ChainID, m.Nonce, m.IssuedAt.Format(time.RFC3339Nano))
	if !m.ExpirationTime.IsZero() {
		b.WriteString("\nExpiration Time: " + m.ExpirationTime.Format(time.RFC3339Nano))
	}
	if !m.NotBefore.IsZero() {
		b.WriteString("\nNot Before: " + m.NotBefore.Format(time.RFC3339Nano))
	}
	if m.RequestID != "" {
		b.WriteString("\nRequest ID: " + m.RequestID)
	}
	if len(m.Resources) > 0 {
		b.WriteString("\nResources:\n- " + strings.Join(m.Resources, "\n- "))
	}
	return b.String()
}

// only tells whether a text has no other characters than those.
func only(text, characters string) bool { return strings.Trim(text, characters) == "" }

func isURI(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && only(text, unreserved+reserved+"%")
}

// moment reads a time of RFC 3339, strictly. The year 1 stands for no time.
func moment(at *time.Time, text string) error {
	err := at.UnmarshalText([]byte(text))
	// Go also takes hours of one digit, and a comma before the fraction.
	if err != nil || at.IsZero() || text[13] != ':' || strings.Contains(text, ",") {
		return fmt.Errorf("%.50q is not a time of RFC 3339", text)
	}
	return nil
}
