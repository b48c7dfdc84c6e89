package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// requestLimit is request_timeout, as it is if nobody sets it, and what a
	// loaded machine takes beside.
	requestLimit = 10*time.Second + 2*time.Second
	// scanLimit is the limit of a listing, with its attempts.
	scanLimit = 80 * time.Second
	// acceptedAgain is how soon pins are taken after the nodes are back.
	acceptedAgain = 2 * time.Second
)

var (
	// address is what an answer must not have: an IP address, or a port.
	address = regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}\b|[\w\]]:\d{4,5}\b|/tcp/\d+`)
	// databaseReason is what an answer must have: see internal/scylla.
	databaseReason = regexp.MustCompile(`too few nodes of the database|too few of its nodes|a node of the database takes no requests|the database did not answer in time|the connection to the database broke|no node of the database`)
)

func TestAddressInAnswer(t *testing.T) {
	const answer = "reading the pin of bafkreigv: too few nodes of the database are up (attempts 3, code 0x1000, consistency QUORUM, required 2, received 1) (request K67PSNTI)"
	if found := address.FindString(answer); found != "" {
		t.Errorf("%q is taken for an address", found)
	}
	for _, text := range []string{"127.0.0.3", "127.0.0.3:9042", "[::1]:9042", "database.example:9042", "/ip4/127.0.0.1/tcp/9096"} {
		if !address.MatchString("last node " + text + "; " + answer) {
			t.Errorf("%s is not taken for an address", text)
		}
	}
}

// noQuorum freezes two of three nodes: nothing can be read or written. Every
// answer is an error that says why, in time, and when the nodes are back all goes
// on.
func (c *threeNodes) noQuorum(t *testing.T) {
	c.waitAllServe(t)
	earlier := len(c.peer.outageLines(t))
	load := newSteady(t, &c.peer.rest, c.load)
	load.lasts("before", usualP99, 3*time.Second)
	during := load.enter("without a quorum", 0)
	for _, i := range []int{1, 2} {
		if err := c.own.Cluster().Freeze(i); err != nil {
			t.Fatal(err)
		}
	}
	c.allRefuse(t)

	for _, i := range []int{1, 2} {
		if err := c.own.Cluster().Resume(i); err != nil {
			t.Fatal(err)
		}
	}
	back := time.Now()
	returns := load.lasts("the nodes are back", 0, acceptedAgain)
	after := load.lasts("after", usualP99, 10*time.Second)
	load.end()
	during.report(t)
	returns.report(t)
	for _, err := range slices.Concat(during.errs, returns.errs) {
		checkDatabaseAnswer(t, "a request of the load", err)
	}
	after.check(t)
	if err := c.lists("a listing after", t.Logf); err != nil {
		t.Error(err)
	}
	t.Logf("all requests work again %s after the nodes are back at the latest", acceptedAgain)

	eventually(t, time.Minute, "the log says that the outage is over", func() error { return c.peer.daemon.logged(t, outageEnds, 1) })
	lines := c.peer.outageLines(t)[earlier:]
	t.Logf("the log of the outage, which ended %s after the nodes were back:\n%s", time.Since(back).Round(time.Second), strings.Join(lines, "\n"))
	if len(lines) != 2 || !outageBegins.MatchString(lines[0]) || !outageEnds.MatchString(lines[1]) {
		t.Errorf("the log has %d lines about one outage, want one that it begins and one that it ends", len(lines))
	}
}

// allRefuse makes one request of each kind while nothing can be read or written.
func (c *threeNodes) allRefuse(t *testing.T) {
	t.Helper()
	known, fresh := c.fixed[0], c.kubo.addBlocks(t, "fresh", 3)
	p := c.peer
	get := func(path string) func() error {
		return func() error { return p.do(http.MethodGet, path, nil) }
	}
	ctl := func(args ...string) func() error {
		return func() error {
			got := p.ctl(t, args...)
			if got.code == 0 {
				return nil
			}
			if !strings.HasPrefix(got.stdout, "An error occurred:\n  Code: 500\n") {
				return fmt.Errorf("exit code %d and the output %q", got.code, got.stdout)
			}
			return &refusal{http.StatusInternalServerError, got.stdout + got.stderr}
		}
	}
	type request struct {
		name  string
		limit time.Duration
		do    func() error
	}
	try := func(r request) {
		began := time.Now()
		err := r.do()
		took := time.Since(began)
		t.Logf("%s, after %s: %v", r.name, took.Round(time.Millisecond), err)
		if took > r.limit {
			t.Errorf("%s: the answer takes %s, more than %s", r.name, took, r.limit)
		}
		checkDatabaseAnswer(t, r.name, err)
	}
	var wg sync.WaitGroup
	for _, r := range []request{
		{"a new pin", requestLimit, func() error { return p.pin(fresh[0], nil) }},
		{"a changed pin", requestLimit, func() error { return p.pin(known, url.Values{"name": {"another"}}) }},
		{"an unpin", requestLimit, func() error { return p.unpin(c.fixed[1]) }},
		{"a pin that is there", requestLimit, get("/allocations/" + known)},
		{"a pin that is not there", requestLimit, get("/allocations/" + fresh[1])},
		{"added content", requestLimit, func() error { _, err := p.add("added without a quorum\n", url.Values{}); return err }},
		{"the pinset", scanLimit, func() error {
			pins, err := p.allocations()
			if len(pins) > 0 {
				return fmt.Errorf("%d pins, then %w", len(pins), err)
			}
			return err
		}},
	} {
		wg.Go(func() { try(r) })
	}
	wg.Go(func() { c.peer.leave(t, "/allocations") })
	for _, r := range []request{
		{"ctl pin ls", runTimeout, ctl("pin", "ls")},
		{"ctl pin add", requestLimit, ctl("pin", "add", "--no-status", fresh[2])},
		{"ctl pin rm", requestLimit, ctl("pin", "rm", "--no-status", c.fixed[2])},
		{"ctl pin ls of one", requestLimit, ctl("pin", "ls", known)},
	} {
		try(r)
	}
	wg.Wait()
}

// leave makes a request and goes away before there is an answer.
func (p *peer) leave(t *testing.T, path string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		t.Error(err)
		return
	}
	res, err := p.client.Do(req)
	if err == nil {
		_ = res.Body.Close() // nothing is wanted of it
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s has an answer without a quorum: %v", path, err)
	}
}

// checkDatabaseAnswer wants an answer to say why the database does not serve, and
// not where it is.
func checkDatabaseAnswer(t *testing.T, what string, err error) {
	t.Helper()
	var answer *refusal
	if !errors.As(err, &answer) {
		t.Errorf("%s: %v, want a refusal", what, err)
		return
	}
	if answer.status != http.StatusInternalServerError || !databaseReason.MatchString(answer.text) {
		t.Errorf("%s: the answer is %s, want a reason", what, answer)
	}
	if found := address.FindString(answer.text); found != "" {
		t.Errorf("%s: the answer has the address %q: %s", what, found, answer)
	}
}
