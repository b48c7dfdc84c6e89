package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/chromium"
)

// browser starts a browser, or skips the test.
func browser(t *testing.T) *chromium.Browser {
	t.Helper()
	if os.Getenv("TEST_LONG") != "1" {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-gateway): it starts a browser")
	}
	return chromium.Start(t)
}

// cidOf is the CID of a text.
func cidOf(text string) string {
	return cid.NewCidV1(cid.Raw, must(mh.Sum([]byte(text), mh.SHA2_256, -1))).String()
}

// hostile are texts that a page must show and nothing else.
func hostile() []string {
	return []string{
		`<script>window.pwned=1</script>`, `"><img src=x onerror="window.pwned=1">`, `'><svg/onload=window.pwned=1>`, `</dd></dl><iframe src="/ui/login"></iframe>`,
		`{{.Body}}<b>bold</b>`, `</code><style>*{display:none}</style>`, `javascript:window.pwned=1`, `<form action="https://evil.example"><button>`,
	}
}

// click is a script that follows a link or a button.
func click(selector string) string {
	return fmt.Sprintf("document.querySelector(%q).click()", selector)
}

// clean complains about what the browser complains of.
func clean(t *testing.T, page *chromium.Page) {
	t.Helper()
	if v, e := page.Violations(t), page.Errors(t); len(v) > 0 || len(e) > 0 {
		t.Errorf("violations %q, errors %q", v, e)
	}
}

func shows(t *testing.T, page *chromium.Page, words ...string) {
	t.Helper()
	text := page.Text(t)
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("there is no %q on the page:\n%s", word, text)
		}
	}
}

// TestBrowser: somebody logs in, works, and leaves, in a real browser.
func TestBrowser(t *testing.T) {
	b := browser(t)
	t.Run("without scripts", func(t *testing.T) { withoutScripts(t, b) })
	t.Run("wallet", func(t *testing.T) { byWallet(t, b) })
	t.Run("hostile texts", func(t *testing.T) { hostileTexts(t, b) })
	t.Run("other site", func(t *testing.T) { otherSite(t, b) })
	t.Run("all pages", func(t *testing.T) { allPages(t, b) })
}

// withoutScripts does all that the pages are for.
func withoutScripts(t *testing.T, b *chromium.Browser) {
	w := newWorld(t)
	page := b.Load(t, w.url+"/ui/pins")
	page.NoScripts(t)
	shows(t, page, "Log in with 127.0.0.1")
	page.Follow(t, click("a.button"))
	me := w.issuer.url + "#8a6f"
	shows(t, page, "Nothing is pinned yet.", "Logged in as "+me)

	page.Eval(t, `document.getElementById("cid").value = "`+cidV1+`"; document.getElementById("name").value = "my site"`, nil)
	page.Follow(t, click(".add button"))
	shows(t, page, "The pin was added.", "my site", cidV1, "queued")

	for i := range 30 {
		w.pins.add(pins.Request{Tenant: "acme", Owner: me, CID: cidOf(fmt.Sprint(i)), Name: fmt.Sprintf("picture %d", i), Status: pins.Pinned})
	}
	page.Eval(t, `document.getElementById("q").value = "PICTURE"; document.getElementById("status").value = "pinned"`, nil)
	page.Follow(t, click(".filter button"))
	shows(t, page, "25 of 30", "picture 29", "picture 5")
	page.Follow(t, click("a[rel=next]"))
	shows(t, page, "5 of 5", "picture 4", "picture 0")
	page.Follow(t, click(".pages a"))
	shows(t, page, "25 of 30")
	page.Eval(t, `document.getElementById("q").value = "`+cidV1+`"; document.getElementById("status").value = ""`, nil)
	page.Follow(t, click(".filter button"))
	shows(t, page, "my site", "1 of 1")
	page.Follow(t, click("a.remove"))
	shows(t, page, "Remove this pin?", "my site")
	page.Follow(t, click("main form button"))
	shows(t, page, "The pin was removed.")
	if w.pins.count() != 30 {
		t.Errorf("%d pins are left", w.pins.count())
	}

	page.Follow(t, click("nav a[href='/ui/keys']"))
	shows(t, page, "You have no keys.")
	page.Eval(t, `document.getElementById("right-remove").checked = true; document.getElementById("days").value = "365"`, nil)
	page.Follow(t, click("form.key button"))
	shows(t, page, "This is the only time that the key is shown.")
	var secret string
	page.Eval(t, `document.getElementById("secret").value`, &secret)
	key := w.keys.list()[0]
	if w.keys.secrets[secret] != key.ID || len(key.Scopes) != 5 || time.Until(key.Expires) < 364*24*time.Hour {
		t.Errorf("the page shows %q, made was %+v", secret, key)
	}
	page.Follow(t, click("nav a[href='/ui/keys']"))
	shows(t, page, "icp_live_"+key.ID, "active")
	page.Follow(t, click("td.do a"))
	page.Follow(t, click("main form button"))
	shows(t, page, "It takes the place of the key")
	page.Follow(t, `location.assign("/ui/keys/`+key.ID+`/revoke")`)
	page.Follow(t, click("main form button"))
	shows(t, page, "The key was revoked.", "revoked", "active")

	page.Follow(t, click(".out button"))
	shows(t, page, "Log in with")
	page.Follow(t, `location.assign("/ui/pins")`)
	shows(t, page, "Log in with")
	if len(w.revoked) != 1 {
		t.Errorf("%d sessions are revoked", len(w.revoked))
	}
	clean(t, page)
}

func byWallet(t *testing.T, b *chromium.Browser) {
	w := newWorld(t)
	page := b.Load(t, w.url+"/ui/login")
	shows(t, page, "Log in with an Ethereum wallet")
	page.Eval(t, click("#wallet button"), nil)
	shows(t, page, "No wallet was found in this browser.")
	page.Eval(t, `window.ethereum = {request: async ({method, params}) => ({
		eth_requestAccounts: () => ["`+strings.ToLower(w.wallet.address)+`"],
		eth_chainId: () => "0x2",
		personal_sign: async () => {
			const bytes = Uint8Array.from(params[0].slice(2).match(/../g), (b) => parseInt(b, 16));
			return (await fetch("/test/sign", {method: "POST", body: bytes})).text();
		},
	})[method]()}; 0`, nil)
	clean(t, page) // the next answer is a 400, which the browser reports
	page.Eval(t, `new Promise((done) => {
		new MutationObserver(done).observe(document.querySelector("#wallet [role=alert]"), {childList: true});
		`+click("#wallet button")+`;
	}).then(() => new Promise((done) => setTimeout(done, 0)))`, nil)
	var says string
	page.Eval(t, `new Promise((done) => {
		const look = () => { const text = document.querySelector("#wallet [role=alert]").textContent; text ? done(text) : requestAnimationFrame(look); };
		look();
	})`, &says)
	if !strings.Contains(says, "chain 2 is not allowed") {
		t.Errorf("the page says %q", says)
	}
	page.Eval(t, `const before = window.ethereum.request; window.ethereum.request = async (r) => r.method === "eth_chainId" ? "0x1" : before(r)`, nil)
	page.Follow(t, click("#wallet button"))
	shows(t, page, "Nothing is pinned yet.", "Logged in as alice")
	if v := page.Violations(t); len(v) > 0 {
		t.Errorf("violations %q", v)
	}
}

// hostileTexts: what users write is text, wherever it shows.
func hostileTexts(t *testing.T, b *chromium.Browser) {
	w := newWorld(t)
	mallory := alice()
	mallory.ID = `<img src=x onerror="window.pwned=1">`
	for _, text := range hostile() {
		w.pins.add(pins.Request{
			Tenant: "acme", Owner: text, CID: cidV1, Name: text, Status: pins.Failed, Meta: map[string]string{text: text}, Info: map[string]string{text: text},
		})
	}
	for _, path := range []string{"/ui/pins", "/ui/pins?q=%3Cscript%3E", "/ui/pins/pin1/remove", "/ui/pins/pin2/remove", "/ui/keys"} {
		page := b.Load(t, w.url+path, w.session(mallory))
		page.Eval(t, `document.querySelectorAll("details").forEach((d) => { d.open = true })`, nil)
		if path == "/ui/pins" {
			shows(t, page, hostile()...)
		}
		shows(t, page, "Logged in as "+mallory.ID)
		var found []any
		page.Eval(t, `[typeof window.pwned, document.querySelectorAll("img, iframe, script, main style, main svg, main b, form[action^=http], a[href^=javascript]").length]`, &found)
		if fmt.Sprint(found) != "[undefined 0]" {
			t.Errorf("%s: a text is more than one: %v", path, found)
		}
		clean(t, page)
	}
	page := b.Load(t, w.url+"/ui/pins", w.session(mallory))
	page.Eval(t, `document.getElementById("cid").value = '"><script>window.pwned=1</script>'; document.getElementById("name").value = '"><img src=x>'`, nil)
	page.Follow(t, click(".add button"))
	shows(t, page, "is not one", "<script>window.pwned=1</script>")
	var found []any
	page.Eval(t, `[typeof window.pwned, document.querySelectorAll("img, script").length, document.getElementById("name").value]`, &found)
	if fmt.Sprint(found) != `[undefined 0 "><img src=x>]` {
		t.Errorf("after a form that was refused: %v", found)
	}
}

// otherSite: a page of another origin, to which the browser gives the cookie all the same,
// since both have one host.
func otherSite(t *testing.T, b *chromium.Browser) {
	w := newWorld(t)
	evil := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(out, `<form method="post" action="%s/ui/pins"><input name="cid" value="%s"></form><iframe src="%s/ui/login"></iframe>`, w.url, cidV1, w.url)
	}))
	t.Cleanup(evil.Close)
	page := b.Load(t, evil.URL, w.session(alice()))
	if e := page.Errors(t); !strings.Contains(fmt.Sprint(e), "frame-ancestors") {
		t.Errorf("the login is in a frame of another site: %q", e)
	}
	page.Follow(t, `document.querySelector("form").submit()`)
	shows(t, page, "This is not allowed", "The request comes from another site.")
	if w.pins.count() != 0 {
		t.Error("another site has added a pin")
	}
}
