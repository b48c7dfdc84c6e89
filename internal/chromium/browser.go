package chromium

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// closeTimeout is how long the browser may take to end before it is killed.
const closeTimeout = 10 * time.Second

const installChromium = "install it with: sudo apt-get install -y chromium"

// Browser is a Chromium that runs. It and its pages are used by one goroutine at a time.
type Browser struct {
	process *child.Process
	pipe    *pipe
}

// Start starts a browser, which ends with the test.
func Start(tb testing.TB) *Browser {
	tb.Helper()
	b, err := start(tb)
	if err != nil {
		unavailable(tb, err)
	}
	return b
}

// unavailable ends a test that has no browser.
func unavailable(tb testing.TB, err error) {
	tb.Helper()
	if os.Getenv("CHROMIUM_REQUIRED") == "1" {
		tb.Fatalf("no Chromium, and CHROMIUM_REQUIRED=1: %v", err)
	}
	tb.Skipf("SKIPPED WITHOUT CHROMIUM (CHROMIUM_REQUIRED=1 makes this a failure): %v", err)
}

func start(tb testing.TB) (*Browser, error) {
	tb.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("no chromium: %w; %s", err, installChromium)
	}
	dir := tb.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, fmt.Errorf("make the log of Chromium: %w", err)
	}
	defer log.Close()
	itsInput, to, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe to Chromium: %w", err)
	}
	from, itsOutput, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a pipe from Chromium: %w", err), itsInput.Close(), to.Close())
	}
	cmd := exec.Command(program, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-breakpad",
		"--no-proxy-server", "--lang=en-US", "--hide-scrollbars", "--window-size=1280,900", "--user-data-dir="+filepath.Join(dir, "profile"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{itsInput, itsOutput}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	process, err := child.Start(cmd)
	// With its ends open here, we would not notice when it ends.
	closed := errors.Join(itsInput.Close(), itsOutput.Close())
	if err != nil {
		return nil, errors.Join(err, closed, to.Close(), from.Close())
	}
	b := &Browser{process: process, pipe: &pipe{to: to, from: from, reader: bufio.NewReader(from)}}
	tb.Cleanup(b.close)
	if closed != nil {
		return nil, fmt.Errorf("close its ends of the pipes to Chromium: %w", closed)
	}
	if err := b.pipe.call("", "Browser.getVersion", nil, nil); err != nil {
		text, _ := os.ReadFile(log.Name()) // only helps
		return nil, fmt.Errorf("no answer of Chromium: %w; its log:\n%s", err, text)
	}
	return b, nil
}

// close lets the browser end its processes, which write to the test's directory.
func (b *Browser) close() {
	timer := time.AfterFunc(closeTimeout, b.process.Kill)
	defer timer.Stop()
	if err := b.pipe.call("", "Browser.close", nil, nil); err != nil {
		b.process.Kill() // it does not hear us
	}
	<-b.process.Exited()
	_ = b.pipe.to.Close() // nothing is lost
	_ = b.pipe.from.Close()
}

// Load opens a page of its own, with these cookies and no others, and waits until the page
// makes no more requests. It fails the test if nobody answers at the URL; an answer of any
// status is a page.
func (b *Browser) Load(tb testing.TB, url string, cookies ...*http.Cookie) *Page {
	tb.Helper()
	p, err := b.load(url, cookies)
	if err != nil {
		tb.Fatalf("loading %s: %v", url, err)
	}
	return p
}

func (b *Browser) load(url string, cookies []*http.Cookie) (*Page, error) {
	var context struct {
		ID string `json:"browserContextId"`
	}
	if err := b.pipe.call("", "Target.createBrowserContext", nil, &context); err != nil {
		return nil, err
	}
	var target struct {
		ID string `json:"targetId"`
	}
	if err := b.pipe.call("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": context.ID}, &target); err != nil {
		return nil, err
	}
	var session struct {
		ID string `json:"sessionId"`
	}
	if err := b.pipe.call("", "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &session); err != nil {
		return nil, err
	}
	p := &Page{pipe: b.pipe, session: session.ID}
	for _, domain := range []string{"Page", "Runtime", "Log", "Audits", "Network"} {
		if err := p.call(domain+".enable", nil, nil); err != nil {
			return nil, err
		}
	}
	for _, c := range cookies {
		cookie := map[string]any{"name": c.Name, "value": c.Value, "url": url, "httpOnly": c.HttpOnly, "secure": c.Secure}
		if c.Path != "" {
			cookie["path"] = c.Path
		}
		if err := p.call("Network.setCookie", cookie, nil); err != nil {
			return nil, fmt.Errorf("cookie %s: %w", c.Name, err)
		}
	}
	if err := p.call("Page.setLifecycleEventsEnabled", map[string]any{"enabled": true}, nil); err != nil {
		return nil, err
	}
	var navigation struct {
		LoaderID  string `json:"loaderId"`
		ErrorText string `json:"errorText"`
	}
	if err := p.call("Page.navigate", map[string]any{"url": url}, &navigation); err != nil {
		return nil, err
	}
	if navigation.ErrorText != "" {
		return nil, errors.New(navigation.ErrorText)
	}
	return p, p.reached(0, "networkIdle", func(loader string) bool { return loader == navigation.LoaderID })
}

// reached waits, from an event on, until a document that is wanted has come to a point of
// its life.
func (p *Page) reached(from int, point string, wanted func(loader string) bool) error {
	return p.pipe.wait(from, p.session, func(e event) bool {
		var says struct{ LoaderID, Name string }
		if e.method != "Page.lifecycleEvent" || json.Unmarshal(e.params, &says) != nil || says.Name != point || !wanted(says.LoaderID) {
			return false
		}
		p.loader = says.LoaderID
		return true
	})
}
