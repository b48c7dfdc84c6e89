package login

import (
	"net/url"
	"strings"
	"testing"
)

func TestLocal(t *testing.T) {
	for _, path := range []string{"/", "/pins", "/pins/", "/pins?status=pinned&name=a%20b", "/a.b/..c/d", "/?q=//evil.example", "/?q=https://evil.example", "/pins:1", "/authors"} {
		if err := local(path); err != nil {
			t.Errorf("%q is refused: %v", path, err)
		}
	}
	for _, path := range foreign {
		if local(path) == nil {
			t.Errorf("%q is accepted", path)
		}
	}
}

// foreign are paths that lead elsewhere, at least in some browser or behind some proxy, or
// that nobody needs.
var foreign = []string{
	"", "pins", "evil.example", "https://evil.example", "HTTPS://evil.example", "https:evil.example", "https:/evil.example", "javascript:alert(1)", "data:text/html,x",
	"//", "//?x", "//evil.example", "///evil.example", `/\evil.example`, `\/evil.example`, `\\evil.example`, `/\/evil.example`, `/a\b`,
	"/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example", "/\r\nSet-Cookie:x=y", "/\x00", "/\x7f", "/ evil",
	"/%2f/evil.example", "/%2fevil.example", "/%5cevil.example", "/%09/evil.example", "/%", "/a%20b", "//%65vil.example", "/%2e%2e//evil.example",
	"/..//evil.example", "/.//evil.example", "/a//b", "/a/../b", "/a/..", "/.", "/./", "/pins#//evil.example", "/?q=%", "/?a;b",
	"//user@evil.example", "/auth/", "/auth/oidc/login?issuer=x", "/é", "/\xff", "/<script>", `/"`, "/" + strings.Repeat("x", maxReturn),
}

// FuzzLocal: what is accepted leads to this gateway, for net/url, for a browser, which takes
// backslashes for slashes and leaves out tabs and line breaks, and after escapes are read.
func FuzzLocal(f *testing.F) {
	for _, path := range foreign {
		f.Add(path)
	}
	f.Add("/pins?status=pinned")
	base, err := url.Parse("https://gateway.example/auth/oidc/callback")
	if err != nil {
		f.Fatal(err)
	}
	browser := strings.NewReplacer("\\", "/", "\t", "", "\n", "", "\r", "")
	f.Fuzz(func(t *testing.T, path string) {
		if local(path) != nil {
			return
		}
		readings := []string{path, browser.Replace(strings.Trim(path, " \t\r\n\x00"))}
		if once, err := url.PathUnescape(path[:strings.IndexByte(path+"?", '?')]); err == nil {
			readings = append(readings, once, browser.Replace(once))
		}
		for _, reading := range readings {
			u, err := base.Parse(reading)
			if err != nil || u.Scheme != "https" || u.Host != "gateway.example" || u.User != nil || strings.HasPrefix(u.Path, "//") || strings.HasPrefix(u.Path, "/auth/") {
				t.Fatalf("%q, read as %q, leads to %v, %v", path, reading, u, err)
			}
		}
		if strings.ContainsAny(path, "\r\n\x00") {
			t.Fatalf("%q splits a header", path)
		}
	})
}
