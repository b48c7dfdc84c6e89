package web_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/web"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/chromium"
)

var update = flag.Bool("update", false, "write docs/images/gateway-*.png")

// fillPlausibly adds what a tenant may have.
func (w *world) fillPlausibly() {
	for i, p := range []pins.Request{
		{Name: "annual-report-2025.pdf", Status: pins.Pinned, Size: 8_412_311},
		{Name: "press photos, spring", Status: pins.Pinned, Size: 734_003_200, Meta: map[string]string{"album": "spring", "licence": "CC BY 4.0"}},
		{Name: "release-2.3.1-linux-amd64.tar.gz", Status: pins.Pinned, Size: 61_203_774},
		{Name: "", Status: pins.Pinned, Size: 1_204},
		{Name: "dataset-traffic-2026-10", Status: pins.Failed, Info: map[string]string{"12D3KooWEyopopk": "context deadline exceeded: no provider was found"}, Owner: "sam"},
		{Name: "handbook, third edition", Status: pins.Pinned, Size: 2_310_077, Owner: "sam"},
		{Name: "release-2.4.0-linux-amd64.tar.gz", Status: pins.Pinning},
		{Name: "website-2026-11-29", Status: pins.Queued},
	} {
		p.Tenant, p.CID = "acme", cidOf(fmt.Sprint(i))
		if p.Owner == "" {
			p.Owner = "alice"
		}
		w.pins.add(p)
	}
}

// looks are things that are wrong with a page for somebody.
const looks = `(() => {
	const wrong = [];
	const all = (selector) => [...document.querySelectorAll(selector)];
	const want = (ok, text) => { if (!ok) { wrong.push(text) } };
	want(document.documentElement.lang === "en" && document.title.length > 10, "the language or the title");
	for (const one of ["h1", "main", "body > header", "body > footer"]) { want(all(one).length === 1, "the number of " + one) }
	for (const field of all("input, select")) { want(field.labels.length === 1 && field.labels[0].textContent.trim() !== "", "the label of " + field.outerHTML) }
	for (const thing of all("a, button, summary, th, caption, legend")) { want(thing.textContent.trim() !== "", "the text of " + thing.outerHTML) }
	const links = all("a.remove").map((a) => a.textContent + a.href);
	want(new Set(links).size === links.length, "links to remove that are alike");
	const ids = all("[id]").map((e) => e.id);
	want(new Set(ids).size === ids.length, "ids that are there twice");
	for (const e of all("[aria-labelledby], [aria-describedby]")) { want(document.getElementById(e.getAttribute("aria-labelledby") || e.getAttribute("aria-describedby")), "what names " + e.outerHTML) }
	for (const e of all("[style], [tabindex]:not([tabindex='0']):not(main)")) { wrong.push("an attribute of " + e.outerHTML) }
	for (const e of all("a, button, input, select")) { e.focus(); want(document.activeElement === e, "the focus of " + e.outerHTML) }
	want(document.documentElement.scrollWidth <= innerWidth, "the width, " + document.documentElement.scrollWidth);
	return wrong;
})()`

// allPages looks at each page in a window of each kind, and makes the pictures.
func allPages(t *testing.T, b *chromium.Browser) {
	w := newWorld(t, func(c *web.Config) {
		c.Gateway, c.Issuers = "https://pins.example.org", []string{"https://login.example.org/realms/acme"}
	})
	w.fillPlausibly()
	for _, form := range []map[string][]string{{"right": {"see", "add"}, "days": {"365"}}, {"right": {"see"}, "days": {"30"}}} {
		w.want(w.ask("/ui/keys", form, w.as(alice())), http.StatusCreated)
	}
	key := w.keys.list()[0].ID
	page := b.Load(t, w.url+"/ui/login", w.session(alice()))
	for _, to := range []struct{ picture, script string }{
		{"login", ""}, {"pins", `location.assign("/ui/pins")`}, {"", `location.assign("/ui/pins/pin2/remove")`}, {"keys", `location.assign("/ui/keys")`},
		{"", `location.assign("/ui/keys/` + key + `/revoke")`}, {"", `location.assign("/ui/keys/` + key + `/rotate")`}, {"key", click("main form button")},
	} {
		if to.script != "" {
			page.Follow(t, to.script)
		}
		for _, dark := range []bool{false, true} {
			page.Dark(t, dark)
			for _, width := range []int{360, 800, 1100} {
				page.Resize(t, width, 780)
				var wrong []string
				page.Eval(t, looks, &wrong)
				if len(wrong) > 0 {
					t.Errorf("%q, %d pixels wide, dark %t: %q", page.Text(t)[:20], width, dark, wrong)
				}
				take(t, page, to.picture, width, dark)
			}
		}
	}
	clean(t, page)
}

// take writes a picture of a page, if it is one of those that the documentation has.
func take(t *testing.T, page *chromium.Page, name string, width int, dark bool) {
	t.Helper()
	switch {
	case !*update || name == "" || dark && name != "pins" || width == 800 || width == 360 && (name != "pins" || dark):
		return
	case dark:
		name += "-dark"
	case width < 1000:
		name += "-narrow"
	}
	if name == "login" || name == "key" {
		page.Resize(t, width, 620)
	}
	page.Eval(t, `document.activeElement.blur(); scrollTo(0, 0)`, nil)
	if err := os.MkdirAll("../../docs/images", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("../../docs/images/gateway-"+name+".png", page.Screenshot(t), 0o644); err != nil {
		t.Fatal(err)
	}
}
