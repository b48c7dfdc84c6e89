package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

//go:embed templates/*.html style.css wallet.js
var files embed.FS

const (
	styleFile  = "style.css"
	scriptFile = "wallet.js"
)

// policy says what a page may do: what is in none of its parts, it may not.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// look is how pages look. It does not change.
type look struct {
	pages map[string]*template.Template
	files map[string][]byte
	urls  map[string]string
}

func newLook() (look, error) {
	l := look{pages: make(map[string]*template.Template), files: make(map[string][]byte), urls: make(map[string]string)}
	layout, err := template.New("layout.html").Funcs(template.FuncMap{"moment": moment, "date": date, "iso": iso, "size": size}).ParseFS(files, "templates/layout.html")
	if err != nil {
		return look{}, fmt.Errorf("the layout of pages: %w", err)
	}
	for _, name := range []string{"login", "pins", "addpin", "removepin", "keys", "createkey", "newkey", "revokekey", "rotatekey", "problem"} {
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(files, "templates/"+name+".html", "templates/forms.html")
		}
		if err != nil {
			return look{}, fmt.Errorf("the page %s: %w", name, err)
		}
		l.pages[name] = page
	}
	for _, name := range []string{styleFile, scriptFile} {
		text, err := files.ReadFile(name)
		if err != nil {
			return look{}, err
		}
		sum := sha256.Sum256(text)
		l.files[name], l.urls[name] = text, "/ui/"+name+"?"+hex.EncodeToString(sum[:6])
	}
	return l, nil
}

// page is what the layout shows, with Body for the page inside it.
type page struct {
	Title string
	// At is the entry of the menu that one is in: "pins", "keys" or "". The menu is shown if
	// Menu is true, and that of keys if Keys is.
	At         string
	Menu, Keys bool
	// ID and Tenant are who looks. May be empty.
	ID, Tenant string
	Body       any

	style, script string
}

// Style and Script are the URLs of the files.
func (p page) Style() string  { return p.style }
func (p page) Script() string { return p.script }

// page returns the page of a call.
func (p *Pages) page(c *door.Call, title, at string, body any) page {
	return page{Title: title, At: at, Menu: true, Keys: p.config.Keys != nil, ID: c.Principal.ID, Tenant: c.Principal.Tenant, Body: body}
}

// show answers with a page.
func (p *Pages) show(w http.ResponseWriter, status int, name string, shown page) error {
	shown.style, shown.script = p.look.urls[styleFile], p.look.urls[scriptFile]
	var text bytes.Buffer
	if err := p.look.pages[name].Execute(&text, shown); err != nil {
		return &door.Problem{Status: http.StatusInternalServerError, Reason: door.Internal, Details: "the page cannot be made", Err: err}
	}
	protect(w.Header())
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(text.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // who has left does not miss it
	return nil
}

// protect sets the headers that protect a page. One that may ask the gateway by a script
// adds that.
func protect(h http.Header) {
	if h.Get("Content-Security-Policy") == "" {
		h.Set("Content-Security-Policy", policy)
	}
	h.Set("X-Content-Type-Options", "nosniff")
	// Forms name the site that they come from, and nobody else is told anything.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// goTo sends a browser to another page.
func goTo(w http.ResponseWriter, target string) {
	protect(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
}

// file serves a file that is embedded. Its URL has its digest, so that browsers keep it.
func (p *Pages) file(name string) door.Serve {
	kinds := map[string]string{styleFile: "text/css; charset=utf-8", scriptFile: "text/javascript; charset=utf-8"}
	return func(w http.ResponseWriter, c *door.Call) error {
		protect(w.Header())
		w.Header().Set("Content-Type", kinds[name])
		if c.Request.URL.RequestURI() == p.look.urls[name] {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		_, _ = w.Write(p.look.files[name]) // who has left does not miss it
		return nil
	}
}

// moment is a time for people.
func moment(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

// date is the day of a time.
func date(t time.Time) string { return t.UTC().Format("2 Jan 2006") }

// iso is a time for programs.
func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// size is a number of bytes for people.
func size(bytes int64) string {
	const unit = 1024
	if bytes < unit {
		return fmt.Sprintf("%d B", bytes)
	}
	value, units := float64(bytes)/unit, "KMGTPE"
	for value >= unit && len(units) > 1 {
		value, units = value/unit, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, units[0])
}
