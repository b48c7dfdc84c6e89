package invoice

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the template and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
)

//go:embed templates/invoice.html
var pageHTML string

//go:embed templates/invoice.css
var pageCSS string

// Policy returns the Content-Security-Policy of the pages that HTML writes: they have a style
// of their own, and load and run nothing. They also say so themselves.
func Policy() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// HTML writes the copy as a page that needs nothing but itself, for a screen of any width and
// for paper. Nothing is written if the copy is not right.
func (c Copy) HTML(w io.Writer) error {
	s, err := c.sheet()
	if err != nil {
		return err
	}
	page, err := template.New("invoice").Funcs(template.FuncMap{"pay": pay}).Parse(pageHTML)
	if err != nil {
		return fmt.Errorf("the template of invoices: %w", err)
	}
	var text bytes.Buffer
	err = page.Execute(&text, struct {
		sheet
		Style  template.CSS
		Policy string
	}{s, template.CSS(pageCSS), Policy()}) //nolint:gosec // it is a file of this package
	if err != nil {
		return fmt.Errorf("write %s as HTML: %w", s.Title, err)
	}
	if _, err := w.Write(text.Bytes()); err != nil {
		return fmt.Errorf("write %s as HTML: %w", s.Title, err)
	}
	return nil
}

// pay lets a link be one of a scheme that templates do not know. Copy.check knows it.
func pay(url string) template.URL { return template.URL(url) } //nolint:gosec // checked
