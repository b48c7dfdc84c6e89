package chromium

import (
	"bytes"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/endtest"
)

// site has pages that behave and pages that do not.
func site(t *testing.T) string {
	t.Helper()
	const script = `document.getElementById("by-script").textContent = "said by a script"`
	mux := http.NewServeMux()
	page := func(path, policy, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", policy)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			if path == "/missing" {
				w.WriteHeader(http.StatusNotFound)
			}
			fmt.Fprintf(w, "<!doctype html><title>t</title><body>%s", body)
		})
	}
	const here = "default-src 'self'"
	page("/good", here, `<p>Shown</p><p hidden>Hidden</p><p id="by-script"></p><script src="/script.js"></script>`)
	page("/inline", here, `<p>Inline</p><p id="by-script"></p><script>`+script+`</script>`)
	page("/elsewhere", here, `<p>Elsewhere</p><img src="http://127.0.0.1:1/picture.png">`)
	page("/throws", "", `<p>Throws</p><script>console.error("wrote this"); null.x</script>`)
	page("/broken", "", `<p>Broken</p><script src="/nowhere.js"></script>`)
	page("/paper", "", `<style>@page { size: 100mm 50mm }</style><p>Paper</p>`)
	page("/missing", here, `<p>No such page</p>`)
	mux.HandleFunc("/script.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, script)
	})
	mux.HandleFunc("/cookies", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		http.SetCookie(w, &http.Cookie{Name: "left", Value: "behind"})
		fmt.Fprintf(w, "cookies: %q", r.Header.Get("Cookie"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// has tells whether one of the texts has all of the words.
func has(texts []string, words ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
	})
}

func TestChromium(t *testing.T) {
	if os.Getenv("TEST_LONG") != "1" {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-gateway): it starts a browser")
	}
	b, url := Start(t), site(t)
	t.Run("text", func(t *testing.T) {
		page := b.Load(t, url+"/good")
		if text := page.Text(t); strings.Join(strings.Fields(text), " ") != "Shown said by a script" {
			t.Errorf("the text is %q", text)
		}
		if v, e := page.Violations(t), page.Errors(t); len(v) > 0 || len(e) > 0 {
			t.Errorf("violations %q, errors %q", v, e)
		}
	})
	t.Run("violations", func(t *testing.T) {
		for path, want := range map[string][]string{
			"/inline":    {"script-src-elem", "kInlineViolation"},
			"/elsewhere": {"img-src", "http://127.0.0.1:1/picture.png"},
		} {
			page := b.Load(t, url+path)
			if v := page.Violations(t); len(v) != 1 || !has(v, want...) {
				t.Errorf("%s: violations %q, want one of %q", path, v, want)
			}
			if e := page.Errors(t); !has(e, "Content Security Policy") {
				t.Errorf("%s: errors %q", path, e)
			}
			if strings.Contains(page.Text(t), "said by a script") {
				t.Errorf("%s: the script has run", path)
			}
		}
		if v := b.Load(t, url+"/good").Violations(t); len(v) > 0 {
			t.Errorf("a page has the violations of another: %q", v)
		}
	})
	t.Run("errors", func(t *testing.T) {
		if e := b.Load(t, url+"/throws").Errors(t); len(e) != 2 || !has(e, "console.error", "wrote this") || !has(e, "TypeError") {
			t.Errorf("errors %q", e)
		}
		if e := b.Load(t, url+"/broken").Errors(t); !has(e, "404", "/nowhere.js") {
			t.Errorf("errors %q", e)
		}
	})
	t.Run("cookies", func(t *testing.T) {
		page := b.Load(t, url+"/cookies", &http.Cookie{Name: "session", Value: "s-1", HttpOnly: true}, &http.Cookie{Name: "csrf", Value: "c-1"})
		if text := page.Text(t); text != `cookies: "session=s-1; csrf=c-1"` {
			t.Errorf("the server got %s", text)
		}
		var seen string
		page.Eval(t, "document.cookie", &seen)
		if strings.Contains(seen, "session") || !strings.Contains(seen, "csrf=c-1") {
			t.Errorf("a script sees %q", seen)
		}
		if text := b.Load(t, url+"/cookies").Text(t); text != `cookies: ""` {
			t.Errorf("another page sent %s", text)
		}
	})
	t.Run("screenshot", func(t *testing.T) {
		page := b.Load(t, url+"/good")
		before := page.Screenshot(t)
		picture, err := png.Decode(bytes.NewReader(before))
		if err != nil || picture.Bounds().Dx() != 1280 {
			t.Errorf("the picture is %v, %v", picture.Bounds(), err)
		}
		page.Eval(t, `document.body.style.background = "#ff0000"`, nil)
		picture, err = png.Decode(bytes.NewReader(page.Screenshot(t)))
		if err != nil {
			t.Fatal(err)
		}
		if r, g, _, _ := picture.At(1000, 500).RGBA(); r>>8 != 255 || g != 0 {
			t.Errorf("the red page is of colour %v", picture.At(1000, 500))
		}
	})
	t.Run("print", func(t *testing.T) {
		// 100 mm by 50 mm are 283 by 142 points, and a letter is 612 wide.
		pdf := b.Load(t, url+"/paper").PDF(t)
		if !regexp.MustCompile(`/MediaBox \[0 0 28[23][.0-9]* 14[12]`).Match(pdf) || !bytes.HasPrefix(pdf, []byte("%PDF-")) {
			t.Errorf("printed: %.10q, %q", pdf, regexp.MustCompile(`/MediaBox.*`).Find(pdf))
		}
	})
	t.Run("follow", func(t *testing.T) {
		page := b.Load(t, url+"/good")
		for _, words := range []string{"Inline", "Shown", "Inline"} {
			path := map[string]string{"Inline": "/inline", "Shown": "/good"}[words]
			page.Follow(t, `location.assign("`+path+`")`)
			if text := page.Text(t); !strings.Contains(text, words) {
				t.Errorf("after %s the text is %q", path, text)
			}
		}
		page.NoScripts(t)
		page.Follow(t, `location.assign("/good")`)
		if text := strings.TrimSpace(page.Text(t)); text != "Shown" {
			t.Errorf("without scripts the text is %q", text)
		}
	})
	t.Run("window", func(t *testing.T) {
		page := b.Load(t, url+"/good")
		page.Resize(t, 360, 640)
		for _, dark := range []bool{true, false} {
			page.Dark(t, dark)
			var got []any
			page.Eval(t, `[innerWidth, innerHeight, matchMedia("(prefers-color-scheme: dark)").matches]`, &got)
			if fmt.Sprint(got) != fmt.Sprint([]any{360, 640, dark}) {
				t.Errorf("the window is %v", got)
			}
		}
	})
	t.Run("eval", func(t *testing.T) {
		page := b.Load(t, url+"/good")
		var status int
		page.Eval(t, `fetch("/missing").then(r => r.status)`, &status)
		if status != http.StatusNotFound {
			t.Errorf("status %d", status)
		}
		got := endtest.Run(t, func(tb testing.TB) { page.Eval(tb, "null.x", nil) })
		if !strings.Contains(got.Failed, "TypeError") {
			t.Errorf("a script that throws failed the test with %q", got.Failed)
		}
	})
	t.Run("no page", func(t *testing.T) {
		if text := b.Load(t, url+"/missing").Text(t); text != "No such page" {
			t.Errorf("the text is %q", text)
		}
		got := endtest.Run(t, func(tb testing.TB) { b.Load(tb, "http://127.0.0.1:1/") })
		if !strings.Contains(got.Failed, "ERR_") {
			t.Errorf("failed with %q", got.Failed)
		}
	})
}

// A test without Chromium is skipped, and fails where it is required.
func TestWithoutChromium(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	for _, want := range []string{"apt-get install -y chromium", "no display today"} {
		begin := func(tb testing.TB) { Start(tb) }
		t.Setenv("CHROMIUM_REQUIRED", "")
		if got := endtest.Run(t, begin); !strings.Contains(got.Skipped, want) || got.Failed != "" {
			t.Errorf("skipped with %q, failed with %q, want %q", got.Skipped, got.Failed, want)
		}
		t.Setenv("CHROMIUM_REQUIRED", "1")
		if got := endtest.Run(t, begin); !strings.Contains(got.Failed, want) || got.Skipped != "" {
			t.Errorf("required: skipped with %q, failed with %q, want %q", got.Skipped, got.Failed, want)
		}
		if err := os.WriteFile(bin+"/chromium", []byte("#!/bin/sh\necho no display today; exit 1\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}
