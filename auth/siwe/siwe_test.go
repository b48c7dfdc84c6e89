package siwe

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

const gateway = "https://pins.example.com"

// memory is a store of nonces.
type memory struct {
	mu     sync.Mutex
	nonces map[string]string
	err    error
}

func (m *memory) Put(_ context.Context, nonce, client string, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	time.AfterFunc(time.Until(until), func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.nonces, nonce)
	})
	m.nonces[nonce] = client
	return m.err
}

func (m *memory) Take(_ context.Context, nonce string) (string, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return "", false, m.err
	}
	client, ok := m.nonces[nonce]
	delete(m.nonces, nonce)
	return client, ok, nil
}

// wallet is an account.
type wallet struct {
	key     *secp256k1.PrivateKey
	address string
}

func newWallet(t testing.TB) wallet {
	t.Helper()
	key, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return wallet{key: key, address: addressOf(key.PubKey())}
}

func addressOf(key *secp256k1.PublicKey) string {
	return checksummed("0x" + hex.EncodeToString(keccak(key.SerializeUncompressed()[1:])[12:]))
}

func (w wallet) sign(text string) string {
	digest := keccak([]byte("\x19Ethereum Signed Message:\n"), []byte(itoa(len(text))), []byte(text))
	compact := ecdsa.SignCompact(w.key, digest, false)
	return "0x" + hex.EncodeToString(append(compact[1:], compact[0]))
}

func itoa(n int) string { text, _ := json.Marshal(n); return string(text) }

// says is what a wallet is asked to sign.
func says(w wallet, nonce string) Message {
	return Message{
		Domain: "pins.example.com", Address: w.address, Statement: "Sign in to pin.", URI: gateway + "/login", ChainID: 1, Nonce: nonce,
		IssuedAt: time.Now().UTC(), ExpirationTime: time.Now().Add(10 * time.Minute).UTC(),
	}
}

func outcome(t testing.TB, err error) string {
	t.Helper()
	var refusal *principal.Refusal
	var unavailable *principal.Unavailable
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return refusal.Details
	case errors.As(err, &unavailable):
		return "unavailable"
	}
	t.Errorf("%v is of no kind", err)
	return "?"
}

func inBubble(t *testing.T, test func(*testing.T, *Login, *memory, wallet)) {
	w := newWallet(t)
	synctest.Test(t, func(t *testing.T) {
		store := &memory{nonces: make(map[string]string)}
		l, err := NewLogin(gateway, []uint64{1, 10}, store)
		if err != nil {
			t.Fatal(err)
		}
		test(t, l, store, w)
	})
}

const unknownNonce = "the nonce is unknown, expired, was used, or was given to another client"

func TestLogin(t *testing.T) {
	inBubble(t, func(t *testing.T, l *Login, store *memory, w wallet) {
		n, err := l.Nonce(t.Context())
		if err != nil || len(n.Nonce) < 20 || len(n.Handle) < 20 || !n.Expires.Equal(time.Now().Add(NonceLife)) {
			t.Fatalf("%+v, %v", n, err)
		}
		if strings.Contains(store.nonces[n.Nonce], n.Handle) {
			t.Error("the handle is stored")
		}
		text := says(w, n.Nonce).String()
		proof, err := l.Verify(t.Context(), text, w.sign(text), n.Handle)
		if err != nil || proof.DID != "did:pkh:eip155:1:"+w.address || !proof.Expires.Equal(time.Now().Add(10*time.Minute)) {
			t.Errorf("%+v, %v", proof, err)
		}
		if _, err := l.Verify(t.Context(), text, w.sign(text), n.Handle); outcome(t, err) != unknownNonce {
			t.Errorf("again: %v", err)
		}
		n, _ = l.Nonce(t.Context())
		m := says(w, n.Nonce)
		m.ChainID, m.Scheme, m.Statement, m.ExpirationTime = 10, "https", "", time.Time{}
		text = m.String()
		if proof, err := l.Verify(t.Context(), text, w.sign(text), n.Handle); err != nil || proof.DID != "did:pkh:eip155:10:"+w.address || !proof.Expires.IsZero() {
			t.Errorf("%+v, %v", proof, err)
		}
		n, _ = l.Nonce(t.Context())
		time.Sleep(NonceLife)
		synctest.Wait()
		text = says(w, n.Nonce).String()
		if _, err := l.Verify(t.Context(), text, w.sign(text), n.Handle); outcome(t, err) != unknownNonce {
			t.Errorf("late: %v", err)
		}
	})
}

// Whoever saw a signed text, or has a nonce that another client asked for, gets nowhere.
func TestHandle(t *testing.T) {
	inBubble(t, func(t *testing.T, l *Login, store *memory, w wallet) {
		for _, handle := range []string{"", "x", "another"} {
			n, _ := l.Nonce(t.Context())
			other, _ := l.Nonce(t.Context())
			if handle == "another" {
				handle = other.Handle
			}
			text := says(w, n.Nonce).String()
			if _, err := l.Verify(t.Context(), text, w.sign(text), handle); outcome(t, err) != unknownNonce {
				t.Errorf("handle %q: %v", handle, err)
			}
		}
	})
}

func TestOnce(t *testing.T) {
	w := newWallet(t)
	l, err := NewLogin(gateway, []uint64{1}, &memory{nonces: make(map[string]string)})
	if err != nil {
		t.Fatal(err)
	}
	n, err := l.Nonce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := says(w, n.Nonce).String()
	signature := w.sign(text)
	var wg sync.WaitGroup
	in := make(chan Proof, 100)
	for range 100 {
		wg.Go(func() {
			if proof, err := l.Verify(t.Context(), text, signature, n.Handle); err == nil {
				in <- proof
			}
		})
	}
	wg.Wait()
	if len(in) != 1 {
		t.Errorf("%d were let in", len(in))
	}
}

func TestRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T, l *Login, store *memory, w wallet) {
		other := newWallet(t)
		n, _ := l.Nonce(t.Context())
		now := time.Now()
		for name, test := range map[string]struct {
			change func(*Message)
			want   string
		}{
			"domain":              {func(m *Message) { m.Domain = "evil.example" }, "another domain"},
			"a domain below":      {func(m *Message) { m.Domain = "x.pins.example.com" }, "another domain"},
			"a domain with user":  {func(m *Message) { m.Domain = "pins.example.com@evil.example" }, "another domain"},
			"a port":              {func(m *Message) { m.Domain = "pins.example.com:8443" }, "another domain"},
			"scheme":              {func(m *Message) { m.Scheme = "http" }, "another domain"},
			"URI":                 {func(m *Message) { m.URI = "https://evil.example/" }, "another site"},
			"URI with user":       {func(m *Message) { m.URI = "https://pins.example.com@evil.example/" }, "another site"},
			"URI with our name":   {func(m *Message) { m.URI = "https://a@pins.example.com/" }, "another site"},
			"URI by http":         {func(m *Message) { m.URI = "http://pins.example.com/" }, "another site"},
			"URI without a host":  {func(m *Message) { m.URI = "urn:pins" }, "another site"},
			"chain":               {func(m *Message) { m.ChainID = 2 }, "chain 2 is not allowed"},
			"old":                 {func(m *Message) { m.IssuedAt = now.Add(-NonceLife - skew - 1) }, "not issued a moment ago"},
			"from the future":     {func(m *Message) { m.IssuedAt = now.Add(skew + 1) }, "not issued a moment ago"},
			"expired":             {func(m *Message) { m.ExpirationTime = now }, "it expired"},
			"not yet":             {func(m *Message) { m.NotBefore = now.Add(skew + 1) }, "not good yet"},
			"address of another":  {func(m *Message) { m.Address = other.address }, "not of the address"},
			"address in lower":    {func(m *Message) { m.Address = strings.ToLower(m.Address) }, "checksum"},
			"address in upper":    {func(m *Message) { m.Address = "0x" + strings.ToUpper(m.Address[2:]) }, "checksum"},
			"statement with HTML": {func(m *Message) { m.Statement = "<b>" }, "characters"},
			"two lines":           {func(m *Message) { m.Statement = "a\nb" }, "empty line"},
			"short nonce":         {func(m *Message) { m.Nonce = "short" }, "8 or more"},
			"nonce of another":    {func(m *Message) { m.Nonce = "notOneOfOurs" }, unknownNonce},
		} {
			m := says(w, n.Nonce)
			test.change(&m)
			if proof, err := l.Verify(t.Context(), m.String(), w.sign(m.String()), n.Handle); !strings.Contains(outcome(t, err), test.want) || proof.DID != "" {
				t.Errorf("%s: %+v, %v", name, proof, err)
			}
		}
		text := says(w, n.Nonce).String()
		good := w.sign(text)
		raw, err := hex.DecodeString(good[2:])
		if err != nil {
			t.Fatal(err)
		}
		var s secp256k1.ModNScalar
		s.SetByteSlice(raw[32:64])
		s.Negate()
		high := s.Bytes()
		flipped := hex.EncodeToString(append(append(raw[:32:32], high[:]...), 55-raw[64])) // 27 and 28 change places
		const notOf = "the signature is not of the address in the message"
		for name, test := range map[string]struct{ text, signature, want string }{
			"of another text":  {text, w.sign(text + "x"), notOf},
			"of another":       {text, other.sign(text), notOf},
			"high S":           {text, "0x" + flipped, notOf},
			"V is 29":          {text, good[:130] + "1d", notOf},
			"V says more":      {text, good[:130] + map[string]string{"1b": "1f", "1c": "20"}[good[130:]], notOf},
			"V of the other":   {text, good[:130] + map[string]string{"1b": "1c", "1c": "1b"}[good[130:]], notOf},
			"zero":             {text, "0x" + strings.Repeat("0", 130), notOf},
			"ones":             {text, "0x" + strings.Repeat("f", 128) + "1b", notOf},
			"empty":            {text, "", "not hexadecimal"},
			"no 0x":            {text, good[2:], "not hexadecimal"},
			"not hexadecimal":  {text, good[:131] + "g", "not hexadecimal"},
			"short":            {text, good[:130], "64 bytes"},
			"contract":         {text, good + "00", "contracts are not supported"},
			"huge":             {text, "0x" + strings.Repeat("0", MaxBytes), "not hexadecimal"},
			"personal message": {"hello", w.sign("hello"), "not a text of EIP-4361"},
			"more at the end":  {text + "\n", w.sign(text + "\n"), "has no place"},
		} {
			if proof, err := l.Verify(t.Context(), test.text, test.signature, n.Handle); !strings.Contains(outcome(t, err), test.want) || proof.DID != "" {
				t.Errorf("%s: %+v, %v", name, proof, err)
			}
		}
		// None of that used the nonce. V may also count from 0.
		zeroBased := good[:130] + map[string]string{"1b": "00", "1c": "01"}[good[130:]]
		if _, err := l.Verify(t.Context(), text, zeroBased, n.Handle); err != nil {
			t.Errorf("good: %v", err)
		}
		store.err = errors.New("down")
		if _, err := l.Nonce(t.Context()); outcome(t, err) != "unavailable" {
			t.Error(err)
		}
		if _, err := l.Verify(t.Context(), text, good, n.Handle); outcome(t, err) != "unavailable" {
			t.Error(err)
		}
	})
}

// What the grammar does not say is refused, wherever it stands.
func TestParseRefuses(t *testing.T) {
	w := newWallet(t)
	m := says(w, "abcdefgh")
	m.NotBefore, m.RequestID, m.Resources = m.IssuedAt, "id-1", []string{"ipfs://bafy", "https://x.example/y"}
	text := m.String()
	if again, err := Parse(text); err != nil || !reflect.DeepEqual(again, m) {
		t.Fatalf("%q is %+v, %v", text, again, err)
	}
	for name, change := range map[string][2]string{
		"CRLF":                  {"\n", "\r\n"},
		"no statement's end":    {"pin.\n\n", "pin.\n"},
		"version 2":             {"Version: 1", "Version: 2"},
		"version 01":            {"Version: 1", "Version: 01"},
		"no version":            {"Version: 1\n", ""},
		"chain 01":              {"Chain ID: 1", "Chain ID: 01"},
		"chain +1":              {"Chain ID: 1", "Chain ID: +1"},
		"chain too large":       {"Chain ID: 1", "Chain ID: 18446744073709551616"},
		"chain empty":           {"Chain ID: 1", "Chain ID: "},
		"nonce with a dash":     {"abcdefgh", "abcd-efgh"},
		"nonce not ASCII":       {"abcdefgh", "abcdefghé"},
		"another order":         {"Version: 1\nChain ID: 1", "Chain ID: 1\nVersion: 1"},
		"a field twice":         {"Version: 1\n", "Version: 1\nVersion: 1\n"},
		"an unknown field":      {"Version: 1\n", "Version: 1\nX: 1\n"},
		"a space at the end":    {"Version: 1\n", "Version: 1 \n"},
		"lower case":            {"Version: 1", "version: 1"},
		"time without zone":     {"Issued At: " + m.IssuedAt.Format(time.RFC3339Nano), "Issued At: 2026-01-01T00:00:00"},
		"time of one digit":     {"Issued At: " + m.IssuedAt.Format(time.RFC3339Nano), "Issued At: 2026-01-01T1:00:00Z"},
		"time with a comma":     {"Issued At: " + m.IssuedAt.Format(time.RFC3339Nano), "Issued At: 2026-01-01T01:00:00,5Z"},
		"time is text":          {"Issued At: " + m.IssuedAt.Format(time.RFC3339Nano), "Issued At: now"},
		"expiry is text":        {"Expiration Time: ", "Expiration Time: x"},
		"not before is text":    {"Not Before: ", "Not Before: x"},
		"request id":            {"id-1", "id 1"},
		"resources in a line":   {"Resources:\n", "Resources: \n"},
		"a resource is no URI":  {"ipfs://bafy", "bafy"},
		"a resource with space": {"ipfs://bafy", "ipfs://b fy"},
		"URI relative":          {"URI: " + m.URI, "URI: /login"},
		"URI with space":        {"URI: " + m.URI, "URI: https://pins.example.com/a b"},
		"no domain":             {"pins.example.com wants", " wants"},
		"domain with a path":    {"pins.example.com wants", "pins.example.com/x wants"},
		"scheme":                {"pins.example.com wants", "://pins.example.com wants"},
		"address short":         {m.Address, m.Address[:41]},
		"address with 0X":       {"0x", "0X"},
		"no empty line":         {m.Address + "\n", m.Address},
		"a resource more":       {"y", "y\nx"},
	} {
		changed := strings.ReplaceAll(text, change[0], change[1])
		if changed == text {
			t.Errorf("%s changes nothing", name)
		}
		if got, err := Parse(changed); err == nil {
			t.Errorf("%s: %q is %+v", name, changed, got)
		}
	}
	m.Resources = make([]string, MaxResources+1)
	for i := range m.Resources {
		m.Resources[i] = "ipfs://bafy"
	}
	if _, err := Parse(m.String()); err == nil {
		t.Error("resources have no bound")
	}
	m.Resources, m.Statement = nil, strings.Repeat("x", MaxBytes)
	if _, err := Parse(m.String()); err == nil {
		t.Error("texts have no bound")
	}
}

// The examples of EIP-55.
func TestChecksum(t *testing.T) {
	for _, address := range []string{
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
		"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
		"0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77",
	} {
		if got := checksummed(strings.ToLower(address)); got != address {
			t.Errorf("%s is %s", address, got)
		}
	}
	for _, bad := range []string{"", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeA", "0xg" + strings.Repeat("0", 39)} {
		if got := checksummed(bad); got != "" {
			t.Errorf("%q is %s", bad, got)
		}
	}
}

// Texts that other implementations wrote and signed: testdata/made.mjs, with viem 2.57.20
// and siwe 3.0.0 of npm.
func TestOtherImplementations(t *testing.T) {
	read, err := os.ReadFile("testdata/signed.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ Name, Message, Signature, Address string }
	if err := json.Unmarshal(read, &all); err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		m, err := Parse(one.Message)
		if err != nil || m.Address != one.Address || m.String() != strings.ReplaceAll(one.Message, ".000Z", "Z") {
			t.Errorf("%s: %+v, %v", one.Name, m, err)
			continue
		}
		raw, err := parseSignature(one.Signature)
		if err != nil {
			t.Errorf("%s: %v", one.Name, err)
			continue
		}
		if address, err := signer(one.Message, raw); err != nil || address != one.Address {
			t.Errorf("%s: signed by %s, %v", one.Name, address, err)
		}
	}
	if len(all) < 4 {
		t.Errorf("%d texts", len(all))
	}
}

func TestNewLogin(t *testing.T) {
	for _, bad := range []string{"", "pins.example.com", "ftp://pins.example.com", "https://", "https://a@b"} {
		if _, err := NewLogin(bad, []uint64{1}, nil); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	if _, err := NewLogin(gateway, nil, nil); err == nil {
		t.Error("no chain passes")
	}
}

// FuzzParse feeds texts: what is read is written again as a text that says the same.
func FuzzParse(f *testing.F) {
	m := says(newWallet(f), "abcdefgh")
	f.Add(m.String())
	m.NotBefore, m.RequestID, m.Resources, m.Statement, m.Scheme = m.IssuedAt, "id-1", []string{"ipfs://bafy"}, "", "https"
	f.Add(m.String())
	f.Add("example.com" + wants + "\n0x\n\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(m.String())
		if len(m.String()) > MaxBytes {
			return // a time may be written longer than it was
		}
		if err != nil || again.String() != m.String() || again.Domain != m.Domain || again.Address != m.Address || again.Nonce != m.Nonce || again.URI != m.URI || again.ChainID != m.ChainID {
			t.Fatalf("%q became %q, %v", text, m.String(), err)
		}
	})
}

// FuzzSignature feeds signatures: none is of an address that did not sign.
func FuzzSignature(f *testing.F) {
	w := newWallet(f)
	f.Add(w.sign("x"))
	f.Add("0x" + strings.Repeat("0", 130))
	f.Fuzz(func(t *testing.T, signature string) {
		raw, err := parseSignature(signature)
		if err != nil {
			return
		}
		if address, err := signer("text", raw); err == nil && (address == w.address || checksummed(address) != address) {
			t.Fatalf("%q is of %s", signature, address)
		}
	})
}
