package invoice

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/chromium"
)

// wrong are things that are wrong with a page for somebody.
const wrong = `(() => {
	const wrong = [];
	const all = (selector) => [...document.querySelectorAll(selector)];
	const want = (ok, text) => { if (!ok) { wrong.push(text) } };
	want(document.documentElement.lang === "en" && document.title.length > 5, "the language or the title");
	for (const one of ["h1", "main"]) { want(all(one).length === 1, "the number of " + one) }
	for (const thing of all("h1, h2, a, th, caption, dt, dd")) { want(thing.textContent.trim() !== "", "the text of " + thing.outerHTML) }
	for (const table of all("table")) {
		const name = document.getElementById(table.getAttribute("aria-labelledby"));
		want(name && name.textContent.trim() !== "", "the name of " + table.outerHTML);
		want(table.tHead, "the head of " + table.outerHTML);
	}
	for (const th of all("th")) { want(["row", "col"].includes(th.scope), "the scope of " + th.outerHTML) }
	for (const row of all("tbody tr")) { want(row.querySelector("th"), "the head of " + row.outerHTML) }
	for (const th of all("th")) { want(th.offsetWidth >= 24 || th.closest("thead"), "what is too narrow: " + th.outerHTML) }
	const ids = all("[id]").map((e) => e.id);
	want(new Set(ids).size === ids.length, "ids that are there twice");
	for (const e of all("[style], script, img, link, iframe, object, form, base, [onclick], [onerror]")) { wrong.push("what is not to be there: " + e.outerHTML) }
	want(document.documentElement.scrollWidth <= innerWidth, "the width, " + document.documentElement.scrollWidth + " of " + innerWidth);
	for (const cell of all("td, th, dd, p, h1")) { want(cell.scrollWidth <= cell.clientWidth + 1 || cell.closest(".away") || cell.closest("thead"), "what is cut off: " + cell.outerHTML) }
	return wrong;
})()`

// pictures is where the test leaves pictures for a person to look at, if that is set.
const pictures = "INVOICE_PICTURES"

func leave(t *testing.T, name string, picture []byte) {
	t.Helper()
	if dir := os.Getenv(pictures); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), picture, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Pages are right in a browser, on screens and on paper, and load and run nothing.
func TestBrowser(t *testing.T) {
	if os.Getenv("TEST_LONG") != "1" {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY: it starts a browser")
	}
	b := chromium.Start(t)
	all := copies(t)
	all["hostile"] = hostileCopy(t)
	for name, c := range all {
		var page bytes.Buffer
		if err := c.HTML(&page); err != nil {
			t.Fatal(err)
		}
		for _, policy := range []string{"", Policy()} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if policy != "" {
					w.Header().Set("Content-Security-Policy", policy)
				}
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = w.Write(page.Bytes())
			}))
			shown := b.Load(t, server.URL)
			for _, width := range []int{320, 390, 800, 1280} {
				shown.Resize(t, width, 1800)
				var problems []string
				shown.Eval(t, wrong, &problems)
				if len(problems) > 0 {
					t.Errorf("%s, %d pixels wide: %.300q", name, width, problems)
				}
				leave(t, fmt.Sprintf("%s-%d.png", name, width), shown.Screenshot(t))
			}
			if v, e := shown.Violations(t), shown.Errors(t); len(v) > 0 || len(e) > 0 {
				t.Errorf("%s: violations %q, errors %q", name, v, e)
			}
			var colour string
			shown.Eval(t, `getComputedStyle(document.body).backgroundColor`, &colour)
			if colour != "rgb(238, 241, 244)" {
				t.Errorf("%s: the style does not count: %s", name, colour)
			}
			pdf := shown.PDF(t)
			leave(t, name+"-printed.pdf", pdf)
			if text := textOf(t, pdf); !strings.Contains(text, c.Document.title()) {
				t.Errorf("%s is printed as %q", name, text)
			}
			server.Close()
		}
	}
}
