package chromium

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Page is a page that is open.
type Page struct {
	pipe    *pipe
	session string
	loader  string // of the document that shows
}

func (p *Page) call(method string, params map[string]any, into any) error {
	return p.pipe.call(p.session, method, params, into)
}

// Text returns the text of the page as it shows now, without what is hidden.
func (p *Page) Text(tb testing.TB) string {
	tb.Helper()
	var text string
	p.Eval(tb, "document.body.innerText", &text)
	return text
}

// Eval has the page run JavaScript, waits for its value if that is a promise, and reads it
// into what may be nil. It fails the test if the script throws. The Content-Security-Policy
// of the page does not bind it.
func (p *Page) Eval(tb testing.TB, script string, into any) {
	tb.Helper()
	var answer struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *exception `json:"exceptionDetails"`
	}
	err := p.call("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &answer)
	switch {
	case err != nil:
		tb.Fatal(err)
	case answer.Exception != nil:
		tb.Fatalf("%s: %s", script, answer.Exception)
	case into == nil:
		return
	}
	if err := json.Unmarshal(answer.Result.Value, into); err != nil {
		tb.Fatalf("%s: %s: %v", script, answer.Result.Value, err)
	}
}

// Follow has the page run JavaScript that leads to another document, as a click on a link or
// the button of a form does, and waits until that is there with all that it names.
func (p *Page) Follow(tb testing.TB, script string) {
	tb.Helper()
	before, from := p.loader, len(p.pipe.events)
	p.Eval(tb, "{ "+script+" } 0", nil) // not its value: that of another document is not to be had
	if err := p.reached(from, "load", func(loader string) bool { return loader != before }); err != nil {
		tb.Fatalf("%s: %v", script, err)
	}
}

// Resize makes the window another size, in pixels of CSS.
func (p *Page) Resize(tb testing.TB, width, height int) {
	tb.Helper()
	p.emulate(tb, "setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
}

// Dark has the page believe that its reader likes dark colours.
func (p *Page) Dark(tb testing.TB, dark bool) {
	tb.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	p.emulate(tb, "setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
}

// NoScripts has the browser run no scripts of documents that it loads from now on. Eval
// goes on.
func (p *Page) NoScripts(tb testing.TB) {
	tb.Helper()
	p.emulate(tb, "setScriptExecutionDisabled", map[string]any{"value": true})
}

func (p *Page) emulate(tb testing.TB, what string, params map[string]any) {
	tb.Helper()
	if err := p.call("Emulation."+what, params, nil); err != nil {
		tb.Fatal(err)
	}
}

// Screenshot returns a picture of what shows in the window, of 1280 by 900 unless it was
// resized, as PNG.
func (p *Page) Screenshot(tb testing.TB) []byte {
	tb.Helper()
	var picture struct {
		Data []byte `json:"data"`
	}
	if err := p.call("Page.captureScreenshot", map[string]any{"format": "png"}, &picture); err != nil {
		tb.Fatal(err)
	}
	return picture.Data
}

// PDF returns the page as it is printed, on the paper that it asks for.
func (p *Page) PDF(tb testing.TB) []byte {
	tb.Helper()
	var printed struct {
		Data []byte `json:"data"`
	}
	if err := p.call("Page.printToPDF", map[string]any{"preferCSSPageSize": true}, &printed); err != nil {
		tb.Fatal(err)
	}
	return printed.Data
}

// Violations returns what the page's Content-Security-Policy has forbidden so far.
func (p *Page) Violations(tb testing.TB) []string {
	tb.Helper()
	var all []string
	p.each(tb, "Audits.issueAdded", func(params json.RawMessage) error {
		var says struct {
			Issue struct {
				Details struct {
					CSP *struct {
						Directive string `json:"violatedDirective"`
						Blocked   string `json:"blockedURL"`
						Kind      string `json:"contentSecurityPolicyViolationType"`
					} `json:"contentSecurityPolicyIssueDetails"`
				} `json:"details"`
			} `json:"issue"`
		}
		if err := json.Unmarshal(params, &says); err != nil {
			return err
		}
		if csp := says.Issue.Details.CSP; csp != nil {
			all = append(all, fmt.Sprintf("%s: %s %s", csp.Directive, csp.Kind, csp.Blocked))
		}
		return nil
	})
	return all
}

// Errors returns what a developer would see in the console so far: errors of the browser,
// such as resources that were not loaded, exceptions that nobody caught, and what scripts
// wrote as errors. That there is no /favicon.ico is none of them.
func (p *Page) Errors(tb testing.TB) []string {
	tb.Helper()
	var all []string
	p.each(tb, "Log.entryAdded", func(params json.RawMessage) error {
		var says struct {
			Entry struct{ Level, Text, URL string } `json:"entry"`
		}
		if err := json.Unmarshal(params, &says); err != nil {
			return err
		}
		if says.Entry.Level == "error" && !strings.HasSuffix(says.Entry.URL, "/favicon.ico") {
			all = append(all, says.Entry.Text+" "+says.Entry.URL)
		}
		return nil
	})
	p.each(tb, "Runtime.exceptionThrown", func(params json.RawMessage) error {
		var says struct {
			Details exception `json:"exceptionDetails"`
		}
		if err := json.Unmarshal(params, &says); err != nil {
			return err
		}
		all = append(all, says.Details.String())
		return nil
	})
	p.each(tb, "Runtime.consoleAPICalled", func(params json.RawMessage) error {
		var says struct {
			Type string            `json:"type"`
			Args []json.RawMessage `json:"args"`
		}
		if err := json.Unmarshal(params, &says); err != nil {
			return err
		}
		if says.Type == "error" || says.Type == "assert" {
			all = append(all, fmt.Sprintf("console.%s: %s", says.Type, says.Args))
		}
		return nil
	})
	return all
}

// each reads all events of a kind that the page has had until now.
func (p *Page) each(tb testing.TB, method string, read func(params json.RawMessage) error) {
	tb.Helper()
	p.Eval(tb, "0", nil) // what came before its answer has been read
	for _, e := range p.pipe.events {
		if e.session != p.session || e.method != method {
			continue
		}
		if err := read(e.params); err != nil {
			tb.Fatalf("%s: %v", method, err)
		}
	}
}

// exception is what a script threw.
type exception struct {
	Text      string `json:"text"`
	Exception struct {
		Description string `json:"description"`
	} `json:"exception"`
}

func (e exception) String() string { return e.Text + " " + e.Exception.Description }
