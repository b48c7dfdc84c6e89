package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// A pin that is too large is refused before anything is written, whatever way it
// comes, by an answer with its size and the bound; migrate leaves it out where that
// is asked for, and says so.
func TestPinTooLarge(t *testing.T) {
	t.Parallel()
	db := on(t, cqltest.Start(t))
	p := newPeer(t, db, nil, map[string]string{"CLUSTER_RESTAPI_MAXHEADERBYTES": "1000000"})
	m := &target{p, db, cqltest.Start(t).Session(t)}
	pins := lasting(typed(variedPins(t, 100)))
	pins = pins[len(pins)-20:] // an import takes them all
	large := pins[7].Cid.String()
	pins[7].Metadata = map[string]string{"large": strings.Repeat("x", state.MaxPinBytes)}
	file := writeExport(t, pins)
	bound := fmt.Sprint(state.MaxPinBytes)

	from := "export:" + file
	m.migrate(t, "plan", "--from", from).says(t, 4, "a run would be refused", "--skip-too-large", large, bound)
	checkRefused(t, m.migrate(t, "run", "--from", from), "--skip-too-large", "no pin was written", large, bound)
	got := m.migrate(t, "run", "--from", from, "--dry-run")
	got.says(t, 4, "1 pins of the source are too large")
	if !strings.Contains(got.stdout, large) || !strings.Contains(got.stdout, "would be refused") {
		t.Errorf("the dry run says\n%s", got.stdout)
	}
	checkRefused(t, run(t, p.service(t, nil, "state", "import", "-f", file)), "line 8: ", "is too large", large, bound)
	m.empty(t, "migrations")

	got = m.migrate(t, "run", "--from", from, "--skip-too-large", "--json")
	report := object[migrate.Report](t, got, "report")
	if got.code != 4 || report.TooLarge != 1 || report.TooLargePins[0].Cid != large || report.Copied != int64(len(pins)-1) {
		t.Errorf("exit code %d, the report is %+v", got.code, report)
	}
	m.migrate(t, "verify", "--from", from).says(t, 4, "source and database differ", large, "1 pins of the source are larger")
	m.mustMigrate(t, "status").says(t, 0, large)
	small := slices.Delete(slices.Clone(pins), 7, 8)
	m.mustMigrate(t, "verify", "--from", "export:"+writeExport(t, small))

	// An API without a Kubo takes pins as well.
	p.launch(t, p.service(t, nil, "daemon", "--role", "api"))
	eventually(t, readyTimeout, "the peer is ready", func() error { return p.daemon.logged(t, readyLine, 1) })
	meta := url.Values{"replication-min": {"-1"}, "replication-max": {"-1"}, "meta-large": {strings.Repeat("x", state.MaxPinBytes)}}
	checkTooLarge(t, "REST", p.pin(large, meta), large)
	body, err := json.Marshal(map[string]any{"cid": large, "meta": map[string]string{"large": strings.Repeat("x", state.MaxPinBytes)}})
	if err != nil {
		t.Fatal(err)
	}
	checkTooLarge(t, "pinning service", p.pinsvc(t, string(body)), large)
	var answer *refusal
	if err := p.do(http.MethodGet, "/allocations/"+large, nil); !errors.As(err, &answer) || answer.status != http.StatusNotFound {
		t.Errorf("the pin that was refused: %v, want that there is none", err)
	}
	meta.Set("meta-large", strings.Repeat("x", state.MaxPinBytes-1000))
	if err := p.pin(large, meta); err != nil {
		t.Errorf("a pin that is nearly too large: %v", err)
	}
	if size := len(m.stored(t)[large]); size < state.MaxPinBytes-1000 || size > state.MaxPinBytes {
		t.Errorf("the pin that is nearly too large has %d bytes", size)
	}
	p.stop(t)
}

// checkTooLarge checks the answer to a pin that is too large.
func checkTooLarge(t *testing.T, what string, err error, cid string) {
	t.Helper()
	var answer *refusal
	if !errors.As(err, &answer) {
		t.Errorf("%s: %v, want a refusal", what, err)
		return
	}
	for _, want := range []string{cid, "is too large", fmt.Sprint(state.MaxPinBytes)} {
		if !strings.Contains(answer.text, want) {
			t.Errorf("%s: the answer is %s, want %q in it", what, answer.text, want)
		}
	}
}

// pinsvc sends a pin to the Pinning Service API.
func (p *peer) pinsvc(t *testing.T, body string) error {
	t.Helper()
	res, err := p.client.Post(p.pinsvcURL(t)+"/pins", "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = &refusal{res.StatusCode, string(text)}
	}
	return err
}
