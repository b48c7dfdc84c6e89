package did

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yaronf/httpsign"
)

// signed is a request and what its signature says; all can be changed before it is sent.
type signed struct {
	method, target, body string
	gateway              string // of which the client thinks it is
	components           []string
	params               string
	headers              http.Header
	label                string
}

func digest(body string) string {
	sum := sha256.Sum256([]byte(body))
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// plain is a request as it should be.
func plain(one signer, nonce string) *signed {
	const body = `{"cid":"bafy"}`
	return &signed{
		method: http.MethodPost, target: "/pins?x=%2F&y=a+b", body: body, gateway: gateway,
		components: []string{"@method", "@target-uri", "content-digest"},
		params:     fmt.Sprintf(`;created=%d;nonce=%q;keyid=%q;tag="ipfs-pin"`, time.Now().Unix(), nonce, one.URL()),
		headers:    http.Header{"Content-Digest": {digest(body)}, "Content-Type": {"application/json"}},
		label:      "sig",
	}
}

// base is what the client signs, by hand.
func (s *signed) base() string {
	var lines []string
	for _, name := range s.components {
		value := strings.Join(s.headers.Values(strings.Trim(strings.Split(name, ";")[0], `"`)), ", ")
		switch name {
		case "@method":
			value = s.method
		case "@target-uri":
			value = s.gateway + s.target
		}
		lines = append(lines, fmt.Sprintf("%q: %s", name, value))
	}
	return strings.Join(append(lines, `"@signature-params": `+s.input()), "\n")
}

func (s *signed) input() string {
	var quoted []string
	for _, name := range s.components {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	return "(" + strings.Join(quoted, " ") + ")" + s.params
}

// request signs and returns the request as a server has it.
func (s *signed) request(one signer) *http.Request {
	r := httptest.NewRequest(s.method, s.target, strings.NewReader(s.body))
	r.Header = s.headers.Clone()
	r.Header.Set("Signature-Input", s.label+"="+s.input())
	r.Header.Set("Signature", s.label+"=:"+base64.StdEncoding.EncodeToString(one.sign([]byte(s.base())))+":")
	return r
}

func newSignatures(t testing.TB, store *memory) *Signatures {
	t.Helper()
	s, err := NewSignatures(gateway, store, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const nonce = "0123456789abcdef"

// anybody admits every DID.
func anybody(string) error { return nil }

func TestSigned(t *testing.T) {
	for name, one := range signers(t) {
		v := newSignatures(t, newMemory())
		r := plain(one, nonce).request(one)
		did, err := v.Verify(r, anybody)
		if err != nil || did != one.DID {
			t.Errorf("%s: %q, %v", name, did, err)
		}
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != `{"cid":"bafy"}` {
			t.Errorf("%s: the body is %q, %v", name, body, err)
		}
		for what, change := range map[string]func(*signed){
			"with alg":      func(s *signed) { s.params += fmt.Sprintf(`;alg=%q`, one.http) },
			"bare DID":      func(s *signed) { s.params = strings.Replace(s.params, one.URL(), one.DID, 1) },
			"expires":       func(s *signed) { s.params += fmt.Sprintf(`;expires=%d`, time.Now().Add(time.Minute).Unix()) },
			"content-type":  func(s *signed) { s.components = append(s.components, "content-type") },
			"another order": func(s *signed) { s.components = []string{"content-digest", "@target-uri", "@method"} },
			"sha-512": func(s *signed) {
				sum := sha512.Sum512([]byte(s.body))
				s.headers.Set("Content-Digest", "sha-512=:"+base64.StdEncoding.EncodeToString(sum[:])+":, unixsum=:AA==:")
			},
			"GET": func(s *signed) {
				s.method, s.body, s.components = http.MethodGet, "", s.components[:2]
				s.headers.Del("Content-Digest")
			},
			"digest of nothing": func(s *signed) {
				s.method, s.body = http.MethodDelete, ""
				s.headers.Set("Content-Digest", digest(""))
			},
			"another label": func(s *signed) { s.label = "a-label.1" },
		} {
			s := plain(one, nonce+what)
			change(s)
			if one.http == "" && what == "with alg" {
				continue
			}
			if _, err := v.Verify(s.request(one), anybody); err != nil {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
	}
}

// Everything that a man in the middle, or a client that does it wrong, may change.
func TestSignedRefuses(t *testing.T) {
	all, others := signers(t), signers(t)
	for name, one := range all {
		store := newMemory()
		v := newSignatures(t, store)
		tests := map[string]struct {
			before func(*signed)       // it is signed
			after  func(*http.Request) // it was signed
			want   string
		}{
			"method":          {after: func(r *http.Request) { r.Method = http.MethodPut }, want: "is wrong"},
			"path":            {after: func(r *http.Request) { r.RequestURI = "/pins/1?x=%2F&y=a+b" }, want: "is wrong"},
			"query":           {after: func(r *http.Request) { r.RequestURI = "/pins?x=/&y=a+b" }, want: "is wrong"},
			"absolute target": {after: func(r *http.Request) { r.RequestURI = gateway + r.RequestURI }, want: "not a path"},
			"body":            {after: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"cid":"evil"}`)) }, want: "sha-256 differs"},
			"body appended":   {after: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"cid":"bafy"} `)) }, want: "sha-256 differs"},
			"digest and body": {after: func(r *http.Request) {
				r.Body = io.NopCloser(strings.NewReader("x"))
				r.Header.Set("Content-Digest", digest("x"))
			}, want: "is wrong"},
			"a digest more":  {after: func(r *http.Request) { r.Header.Add("Content-Digest", digest("x")) }, want: "must be there once"},
			"digest removed": {after: func(r *http.Request) { r.Header.Del("Content-Digest") }, want: "must be there once"},
			"created": {after: func(r *http.Request) {
				r.Header.Set("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), "created=", "created=1", 1))
			}, want: "not acceptable"},
			"nonce": {after: func(r *http.Request) {
				r.Header.Set("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), nonce, nonce+"1", 1))
			}, want: "is wrong"},
			"a component less": {after: func(r *http.Request) {
				r.Header.Set("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), ` "content-digest"`, "", 1))
			}, want: `"content-digest" must be covered`},
			"keyid of another": {after: func(r *http.Request) {
				r.Header.Set("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), one.URL(), others[name].URL(), 1))
			}, want: "is wrong"},
			"two signatures": {after: func(r *http.Request) { r.Header.Add("Signature", "sig2=:AA==:") }, want: "there once"},
			"two labels": {after: func(r *http.Request) {
				in := r.Header.Get("Signature-Input")
				r.Header.Set("Signature-Input", in+", sig2="+in[4:])
				r.Header.Set("Signature", r.Header.Get("Signature")+", sig2=:AA==:")
			}, want: "one label"},
			"labels differ":     {after: func(r *http.Request) { r.Header.Set("Signature", "x"+r.Header.Get("Signature")) }, want: "one label"},
			"no signature":      {after: func(r *http.Request) { r.Header.Del("Signature") }, want: "there once"},
			"no input":          {after: func(r *http.Request) { r.Header.Del("Signature-Input") }, want: "there once"},
			"a long header":     {after: func(r *http.Request) { r.Header.Set("Signature-Input", strings.Repeat("a", maxHeader+1)) }, want: "at most"},
			"a display string":  {after: func(r *http.Request) { r.Header.Set("Signature-Input", "sig=%0") }, want: "not a dictionary"},
			"digest displayed":  {before: func(s *signed) { s.headers.Set("Content-Digest", `sha-256=%"%`) }, want: "not a dictionary"},
			"not a dictionary":  {after: func(r *http.Request) { r.Header.Set("Signature", "sig=:") }, want: "not a dictionary"},
			"signature a text":  {after: func(r *http.Request) { r.Header.Set("Signature", `sig="x"`) }, want: "64 bytes"},
			"signature a list":  {after: func(r *http.Request) { r.Header.Set("Signature", `sig=("x")`) }, want: "64 bytes"},
			"signature short":   {after: func(r *http.Request) { r.Header.Set("Signature", `sig=:AAAA:`) }, want: "64 bytes"},
			"input an item":     {after: func(r *http.Request) { r.Header.Set("Signature-Input", `sig="x"`) }, want: "not a list"},
			"no method":         {before: func(s *signed) { s.components = s.components[1:] }, want: "must be covered"},
			"no target":         {before: func(s *signed) { s.components = []string{"@method", "content-digest"} }, want: "must be covered"},
			"no digest":         {before: func(s *signed) { s.components = s.components[:2] }, want: `"content-digest" must be covered`},
			"another component": {before: func(s *signed) { s.components = append(s.components, "@path") }, want: "components are"},
			"a component twice": {before: func(s *signed) { s.components = append(s.components, "@method") }, want: "components are"},
			"another gateway":   {before: func(s *signed) { s.gateway = "https://evil.example" }, want: "is wrong"},
			"no created":        {before: func(s *signed) { s.params = cut(s.params, "created") }, want: "needed"},
			"no nonce":          {before: func(s *signed) { s.params = cut(s.params, "nonce") }, want: "needed"},
			"no keyid":          {before: func(s *signed) { s.params = cut(s.params, "keyid") }, want: "needed"},
			"no tag":            {before: func(s *signed) { s.params = cut(s.params, "tag") }, want: "needed"},
			"another tag":       {before: func(s *signed) { s.params = cut(s.params, "tag") + `;tag="x"` }, want: "tag is not"},
			"an unknown param":  {before: func(s *signed) { s.params += ";x" }, want: "unknown"},
			"created a text":    {before: func(s *signed) { s.params = cut(s.params, "created") + `;created="1"` }, want: "wrong type"},
			"nonce a number":    {before: func(s *signed) { s.params = cut(s.params, "nonce") + `;nonce=1` }, want: "wrong type"},
			"keyid a token":     {before: func(s *signed) { s.params = cut(s.params, "keyid") + `;keyid=a` }, want: "wrong type"},
			"created a float":   {before: func(s *signed) { s.params = cut(s.params, "created") + `;created=1.5` }, want: "wrong type"},
			"short nonce":       {before: func(s *signed) { s.params = cut(s.params, "nonce") + `;nonce="short"` }, want: "nonce does not have"},
			"long nonce":        {before: func(s *signed) { s.params = cut(s.params, "nonce") + `;nonce="` + strings.Repeat("x", 129) + `"` }, want: "nonce does not have"},
			"alg of another":    {before: func(s *signed) { s.params += `;alg="hmac-sha256"` }, want: "alg is not"},
			"did:web":           {before: func(s *signed) { s.params = cut(s.params, "keyid") + `;keyid="did:web:example.com"` }, want: "not a did:key"},
			"another fragment":  {before: func(s *signed) { s.params = cut(s.params, "keyid") + fmt.Sprintf(`;keyid="%s#x"`, one.DID) }, want: "another key"},
			"expired":           {before: func(s *signed) { s.params += fmt.Sprintf(`;expires=%d`, time.Now().Unix()) }, want: "expired"},
			"too large":         {before: func(s *signed) { s.body = strings.Repeat("x", 1001); s.headers.Set("Content-Digest", digest(s.body)) }, want: "more than 1000"},
			"md5":               {before: func(s *signed) { s.headers.Set("Content-Digest", "md5=:AAAA:") }, want: "neither"},
			"a digest differs":  {before: func(s *signed) { s.headers.Set("Content-Digest", digest(s.body)+", sha-512=:AAAA:") }, want: "sha-512 differs"},
			"digest a text":     {before: func(s *signed) { s.headers.Set("Content-Digest", `sha-256="x"`) }, want: "differs"},
			"digest unreadable": {before: func(s *signed) { s.headers.Set("Content-Digest", `;`) }, want: "not a dictionary"},
			"two types": {before: func(s *signed) {
				s.components = append(s.components, "content-type")
				s.headers.Add("Content-Type", "text/plain")
			}, want: "there once"},
		}
		for what, test := range tests {
			s := plain(one, nonce)
			if test.before != nil {
				test.before(s)
			}
			r := s.request(one)
			if test.after != nil {
				test.after(r)
			}
			did, err := v.Verify(r, anybody)
			if got := outcome(t, err); did != "" || !strings.Contains(got, test.want) {
				t.Errorf("%s, %s: %q, %q", name, what, did, got)
			}
		}
		if _, err := v.Verify(plain(one, nonce).request(others[name]), anybody); outcome(t, err) != "the signature of the request is wrong" {
			t.Errorf("%s, signed by another: %v", name, err)
		}
		if len(store.used) != 0 {
			t.Errorf("%s: what was refused used nonces: %v", name, store.used)
		}
	}
}

// cut removes a parameter.
func cut(params, name string) string {
	begin := strings.Index(params, ";"+name+"=")
	rest := params[begin+1:]
	if end := strings.Index(rest, ";"); end >= 0 {
		return params[:begin] + rest[end:]
	}
	return params[:begin]
}

// A component with a parameter covers something else than its name says.
func TestComponentParameters(t *testing.T) {
	one := signers(t)["EdDSA"]
	for _, component := range []string{`"@method";req`, `"content-digest";key="sha-256"`, `"content-digest";sf`, `"@target-uri";bs`} {
		r := plain(one, nonce).request(one)
		name := strings.Split(component, ";")[0]
		r.Header.Set("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), name, component, 1))
		if _, err := newSignatures(t, newMemory()).Verify(r, anybody); !strings.Contains(outcome(t, err), "without parameters") {
			t.Errorf("%s: %v", component, err)
		}
	}
}

func TestWindow(t *testing.T) {
	one := signers(t)["EdDSA"]
	synctest.Test(t, func(t *testing.T) {
		v := newSignatures(t, newMemory())
		for age, ok := range map[time.Duration]bool{Window: true, Window + time.Second: false, -Window: true, -Window - time.Second: false} {
			s := plain(one, nonce+age.String())
			s.params = cut(s.params, "created") + fmt.Sprintf(";created=%d", time.Now().Add(-age).Unix())
			if _, err := v.Verify(s.request(one), anybody); (err == nil) != ok {
				t.Errorf("%v old: %v", age, err)
			}
		}
	})
}

// A signature is good once, for as long as any instance would take it; reading may be
// repeated for a minute.
func TestReplay(t *testing.T) {
	all := signers(t)
	one, other := all["EdDSA"], all["ES256K"]
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		v, second := newSignatures(t, store), newSignatures(t, store)
		if _, err := v.Verify(plain(one, nonce).request(one), anybody); err != nil {
			t.Fatal(err)
		}
		r := plain(one, nonce).request(one)
		const used = "the nonce of the signature was used before"
		for range 60 {
			if _, err := second.Verify(r, anybody); outcome(t, err) != used {
				t.Fatalf("again: %v", err)
			}
			r.Body = io.NopCloser(bytes.NewReader([]byte(`{"cid":"bafy"}`)))
			time.Sleep(time.Second)
		}
		if _, err := v.Verify(plain(other, nonce).request(other), anybody); err != nil {
			t.Errorf("the nonce of somebody else: %v", err)
		}
		for _, until := range store.used {
			if until.Before(time.Now().Add(-time.Minute).Add(2 * Window)) {
				t.Errorf("it is forgotten at %v", until)
			}
		}
		get := func() *http.Request {
			s := plain(one, nonce)
			s.method, s.body, s.components = http.MethodGet, "", s.components[:2]
			return s.request(one)
		}
		for range 2 {
			if _, err := v.Verify(get(), anybody); err != nil {
				t.Error(err)
			}
		}
		store.err = errors.New("down")
		if _, err := v.Verify(plain(one, nonce+"2").request(one), anybody); outcome(t, err) != "unavailable" {
			t.Error(err)
		}
		if _, err := v.Verify(get(), anybody); err != nil {
			t.Errorf("reading without the store: %v", err)
		}
	})
}

// Who is not admitted writes nothing, and hears the same whether the request comes for the
// first time or again. Who did not sign is not asked about: the answer to a wrong signature
// would tell whose DIDs are known.
func TestNotAdmitted(t *testing.T) {
	store := newMemory()
	v, stranger := newSignatures(t, store), errors.New("a stranger")
	for name, one := range signers(t) {
		var asked []string
		refuse := func(did string) error { asked = append(asked, did); return stranger }
		for range 2 {
			if did, err := v.Verify(plain(one, nonce).request(one), refuse); did != "" || !errors.Is(err, stranger) {
				t.Errorf("%s: %q, %v", name, did, err)
			}
		}
		if len(store.used) != 0 {
			t.Errorf("%s: a stranger's nonces are remembered: %v", name, store.used)
		}
		get := plain(one, nonce)
		get.method, get.body, get.components = http.MethodGet, "", get.components[:2]
		if did, err := v.Verify(get.request(one), refuse); did != "" || !errors.Is(err, stranger) {
			t.Errorf("%s, reading: %q, %v", name, did, err)
		}
		if want := []string{one.DID, one.DID, one.DID}; !slices.Equal(asked, want) {
			t.Errorf("%s: asked about %q, want %q", name, asked, want)
		}
		forged := plain(one, nonce).request(one)
		forged.Method = http.MethodDelete
		body := plain(one, nonce).request(one)
		body.Body = io.NopCloser(strings.NewReader("another"))
		for _, r := range []*http.Request{forged, body} {
			if _, err := v.Verify(r, func(string) error { t.Errorf("%s: asked about what nobody signed", name); return stranger }); errors.Is(err, stranger) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Once it is admitted, it is good once.
		if _, err := v.Verify(plain(one, nonce).request(one), anybody); err != nil {
			t.Errorf("%s, admitted: %v", name, err)
		}
		if _, err := v.Verify(plain(one, nonce).request(one), anybody); outcome(t, err) != "the nonce of the signature was used before" {
			t.Errorf("%s, admitted and again: %v", name, err)
		}
		clear(store.used)
	}
}

// Of one request that comes many times at once, one passes.
func TestReplayAtOnce(t *testing.T) {
	one := signers(t)["EdDSA"]
	v := newSignatures(t, newMemory())
	var wg sync.WaitGroup
	in := make(chan string, 100)
	for range 100 {
		wg.Go(func() {
			if did, err := v.Verify(plain(one, nonce).request(one), anybody); err == nil {
				in <- did
			}
		})
	}
	wg.Wait()
	if len(in) != 1 {
		t.Errorf("%d passed", len(in))
	}
}

// Requests that another implementation of RFC 9421 signed, over a connection.
func TestAnotherImplementation(t *testing.T) {
	var v *Signatures
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		did, err := v.Verify(r, anybody)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, err)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, did, " ", string(body))
	}))
	defer server.Close()
	var err error
	if v, err = NewSignatures(server.URL, newMemory(), 0); err != nil {
		t.Fatal(err)
	}
	all := signers(t)
	for name, signer := range map[string]func(*httpsign.SignConfig, httpsign.Fields) (*httpsign.Signer, error){
		"EdDSA": func(config *httpsign.SignConfig, fields httpsign.Fields) (*httpsign.Signer, error) {
			return httpsign.NewEd25519Signer(all["EdDSA"].private.(ed25519.PrivateKey), config, fields)
		},
		"ES256": func(config *httpsign.SignConfig, fields httpsign.Fields) (*httpsign.Signer, error) {
			return httpsign.NewP256Signer(*all["ES256"].private.(*ecdsa.PrivateKey), config, fields)
		},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			fields, body := httpsign.Headers("@method", "@target-uri"), ""
			if method == http.MethodPost {
				fields, body = httpsign.Headers("@method", "@target-uri", "content-digest", "content-type"), `{"cid":"bafy"}`
			}
			config := httpsign.NewSignConfig().SetKeyID(all[name].URL()).SetTag(Tag).SetNonce(nonce + name + method)
			signs, err := signer(config, fields)
			if err != nil {
				t.Fatal(err)
			}
			client := httpsign.NewClient(*server.Client(), httpsign.NewClientConfig().SetSignatureName("theirs").SetSigner(signs))
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/pins?name=a%20b&x=%C3%A9", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(response.Body)
			if err := errors.Join(err, response.Body.Close()); string(got) != all[name].DID+" "+body || err != nil {
				t.Errorf("%s %s: %s, %v", name, method, got, err)
			}
		}
	}
}

// FuzzSignatures feeds headers: no request passes that nobody signed.
func FuzzSignatures(f *testing.F) {
	one := signers(f)["EdDSA"]
	r := plain(one, nonce).request(one)
	f.Add(r.Header.Get("Signature-Input"), "sig=:"+strings.Repeat("A", 86)+"==:", digest("x"))
	f.Add(`sig=("@method";req "@target-uri");created="x";nonce=1`, `sig=("x")`, "sha-256=")
	f.Add(`sig`, `sig=?1`, "")
	f.Fuzz(func(t *testing.T, in, signature, digest string) {
		r := httptest.NewRequest(http.MethodPost, "/pins", strings.NewReader("x"))
		r.Header.Set("Signature-Input", in)
		r.Header.Set("Signature", signature)
		r.Header.Set("Content-Digest", digest)
		if did, err := newSignatures(t, newMemory()).Verify(r, anybody); outcome(t, err) == "" || did != "" {
			t.Fatalf("%q %q is of %q", in, signature, did)
		}
		// What the second look reads is what the first one read.
		if parsed, err := parseInput(r.Header); err == nil {
			r.Header.Set("Signature-Input", parsed.name+"="+parsed.params)
			if again, err := parseInput(r.Header); err != nil || again.params != parsed.params {
				t.Fatalf("%q became %q, %v", parsed.params, again.params, err)
			}
		}
	})
}
