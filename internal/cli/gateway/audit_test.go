package gateway

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
)

// checkpoints keeps copies of checkpoints as a file has them.
type checkpoints struct {
	mu   sync.Mutex
	text strings.Builder
}

func (c *checkpoints) PutCheckpoint(_ context.Context, p audit.Checkpoint) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return json.NewEncoder(&c.text).Encode(p)
}

// event is one of a principal on a pin.
func event(principal, action, id string, allowed bool) audit.Event {
	return audit.Event{
		Actor:    audit.Actor{Principal: principal, Tenant: "t1", Method: "jwt", IP: "192.0.2.7"},
		Action:   action,
		Resource: audit.Resource{Kind: "pin", ID: id, Tenant: "t1", Owner: principal, CID: "bafy" + id},
		Decision: audit.Decision{Allowed: allowed, Reason: "permitted by user-creates"},
		HTTP:     audit.HTTP{Method: "POST", Route: "/pins"},
	}
}

// recorded returns a folder in which init was run, with records of a gateway that has come
// and gone: ursula's create, which succeeded; adam's delete, which was denied; a failed
// attempt; and a delete of ursula's without an outcome. There are copies of its checkpoints
// in checkpoints.jsonl.
func recorded(t *testing.T) string {
	t.Helper()
	folder := initialized(t)
	cfg, err := config.Load(filepath.Join(folder, config.FileName), nil)
	must(t, err)
	files, err := cfg.Read()
	must(t, err)
	copies := &checkpoints{}
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	sink, err := audit.OpenFile(audit.FileOptions{
		Dir: cfg.Resolve(cfg.Audit.Folder), Writer: "gw-1", Key: files.AuditKey, Copies: []audit.CheckpointCopy{copies},
		Now: func() time.Time { now = now.Add(time.Second); return now },
	})
	must(t, err)
	recorder, err := audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{sink}})
	must(t, err)
	ctx := context.Background()
	pending, err := recorder.Begin(ctx, event("ursula", "pins:create", "r1", true))
	must(t, err)
	must(t, pending.End(ctx, audit.Result{Verdict: audit.Success, Status: 202}))
	denied := event("adam", "pins:delete", "r1", false)
	denied.Decision.Reason = "no policy permits it"
	denied.Actor.UserAgent, denied.Resource.Name = "curl", "\x1b[2Jx"
	must(t, recorder.Done(ctx, denied, audit.Result{Verdict: audit.Denied, Status: 403, Reason: "FORBIDDEN"}))
	must(t, recorder.Failed(ctx, audit.Attempt{IP: netip.MustParseAddr("198.51.100.9"), Method: "apikey", Reason: "INVALID_TOKEN", Credential: "evil\x1b[2J id"}))
	_, err = recorder.Begin(ctx, event("ursula", "pins:delete", "r1", true))
	must(t, err)
	must(t, sink.Close())
	writeFile(t, copies.text.String(), folder, "checkpoints.jsonl")
	return folder
}

// segment is the one file of records.
func segment(t *testing.T, folder string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "audit", "*.jsonl"))
	must(t, err)
	if len(names) != 1 {
		t.Fatalf("the files of records are %v", names)
	}
	return names[0]
}

func TestAuditVerify(t *testing.T) {
	folder := recorded(t)
	got := mustRun(t, folder, "", "audit", "verify")
	if !regexp.MustCompile(`(?m)^gw-1 +1 +1 to 7 +6 +1 +0 +complete$`).MatchString(got.stdout) ||
		got.stderr != "without --copies or --checkpoints it is not noticed if the newest records, or all of a writer, were removed\n" {
		t.Errorf("verify says\n%s%s", got.stdout, got.stderr)
	}
	copies := filepath.Join(folder, "checkpoints.jsonl")
	public := filepath.Join(folder, "audit-public.pem")
	// Where there is no configuration: by flags.
	elsewhere := []string{"audit", "verify", "--folder", filepath.Join(folder, "audit"), "--key", public, "--checkpoints", copies}
	if got := mustRun(t, t.TempDir(), "", elsewhere...); got.stderr != "" {
		t.Errorf("by flags: %s", got.stderr)
	}
	var report audit.Report
	must(t, json.Unmarshal([]byte(mustRun(t, folder, "", "audit", "verify", "--json").stdout), &report))
	if len(report.Writers) != 1 || report.Writers[0].Last != 7 || len(report.Problems) != 0 {
		t.Errorf("as JSON: %+v", report)
	}

	file := segment(t, folder)
	good := readFile(t, file)
	lines := strings.SplitAfter(good, "\n")
	for name, tc := range map[string]struct{ text, want string }{
		"changed": {strings.Replace(good, "ursula", "ursulb", 1), "gw-1.0000000000000001.jsonl:2: record 2 was changed"},
		"removed": {strings.Join(append(append([]string{}, lines[:3]...), lines[4:]...), ""), "gw-1.0000000000000001.jsonl:4:"},
		"cut off": {strings.Join(lines[:3], ""), "gw-1: the chain ends at 3, and there is a checkpoint at 6: records were cut off"},
		"no JSON": {lines[0] + "x\n" + strings.Join(lines[2:], ""), "gw-1.0000000000000001.jsonl:2:"},
	} {
		writeFile(t, tc.text, file)
		got := run(t, folder, "", "audit", "verify", "--checkpoints", copies)
		if got.code != 1 || !strings.Contains(got.stdout, "\n"+tc.want) || !regexp.MustCompile(`^error verifying the audit records: they are not as they were written, problems above: \d+\n$`).MatchString(got.stderr) {
			t.Errorf("%s: exit code %d\n%s%s", name, got.code, got.stdout, got.stderr)
		}
		if got := run(t, folder, "", "audit", "verify", "--json", "--checkpoints", copies); got.code != 1 || json.Unmarshal([]byte(got.stdout), &report) != nil || len(report.Problems) == 0 {
			t.Errorf("%s, as JSON: %+v", name, got)
		}
	}
	must(t, os.Remove(file))
	if got := run(t, folder, "", "audit", "verify", "--checkpoints", copies); got.code != 1 || !strings.Contains(got.stdout, "gw-1: there are checkpoints of it, and no records") {
		t.Errorf("without a file: %+v", got)
	}
	checkRefused(t, folder, []refusal{{args: []string{"audit", "verify", "--checkpoints", "/dev/null"}, want: "verifying the audit records: there are none in DIR/audit"}})
	// Another key than the one that has signed.
	writeFile(t, good, file)
	other := initialized(t)
	if got := run(t, folder, "", "audit", "verify", "--key", filepath.Join(other, "audit.pem")); got.code != 1 || !strings.Contains(got.stdout, "signed by a key that is not known") {
		t.Errorf("with another key: %+v", got)
	}
	// Of several keys one is enough.
	mustRun(t, folder, "", "audit", "verify", "--key", filepath.Join(other, "audit.pem"), "--key", public)
}

func TestAuditRefusals(t *testing.T) {
	folder := recorded(t)
	writeFile(t, "not one\n", folder, "bad.jsonl")
	writeFile(t, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", folder, "bad.pem")
	checkRefused(t, folder, []refusal{
		{args: []string{"audit", "verify", "--folder", "DIR/none"}, want: "reading the audit records: open DIR/none: no such file or directory"},
		{args: []string{"audit", "verify", "--key", "DIR/none"}, want: "reading a key: open DIR/none: no such file or directory"},
		{args: []string{"audit", "verify", "--key", "DIR/pepper-1"}, want: "reading a key: DIR/pepper-1 is not a key of Ed25519 in PEM format"},
		{args: []string{"audit", "verify", "--key", "DIR/bad.pem"}, want: "reading a key: DIR/bad.pem is not a key of Ed25519 in PEM format"},
		{args: []string{"audit", "verify", "--checkpoints", "DIR/bad.jsonl"}, want: "reading --checkpoints: line 1 of DIR/bad.jsonl is not a checkpoint"},
		{args: []string{"audit", "verify", "--checkpoints", "DIR/none"}, want: "reading --checkpoints: open DIR/none: no such file or directory"},
		{args: []string{"audit", "search", "--folder", "DIR/none"}, want: "reading the audit records: open DIR/none: no such file or directory"},
		{args: []string{"audit", "search", "--since", "yesterday"}, want: `reading --since: "yesterday" is neither an age, such as 90m, nor a time, such as 2026-01-31T12:00:00Z`},
		{args: []string{"audit", "search", "--until", "-1h"}, want: `reading --until: "-1h" is neither an age, such as 90m, nor a time, such as 2026-01-31T12:00:00Z`},
		{args: []string{"audit", "search", "--verdict", "guilty"}, want: `reading --verdict: "guilty" is none: use success, failure, denied or unknown`},
		{args: []string{"audit", "search", "--limit", "0"}, want: "reading --limit: it is not positive"},
		{args: []string{"audit", "export", "--format", "xml"}, want: `reading --format: "xml" is none: use json or ocsf`},
	})
	checkRefused(t, t.TempDir(), []refusal{
		{args: []string{"audit", "verify"}, want: `there is no configuration DIR/pin-gateway.json: "pin-gateway init" writes one, --config names another; or use --key`},
		{args: []string{"audit", "verify", "--folder", "DIR"}, want: `there is no configuration DIR/pin-gateway.json: "pin-gateway init" writes one, --config names another; or use --key`},
	})
	t.Setenv("PIN_GATEWAY_AUDIT_FOLDER", "")
	t.Setenv("PIN_GATEWAY_AUDIT_TABLE", "true")
	checkRefused(t, folder, []refusal{{args: []string{"audit", "search"}, want: "DIR/pin-gateway.json has no audit.folder: use --folder, or --table"}})
}

func TestAuditSearch(t *testing.T) {
	folder := recorded(t)
	const (
		created = `2026-06-01T12:00:0\S+ success pins:create tenant=t1 principal=ursula object=r1 cid=bafyr1 ip=192.0.2.7 id=\w+` + "\n"
		denied  = `2026-06-01T12:00:0\S+ denied pins:delete tenant=t1 principal=adam object=r1 cid=bafyr1 reason=FORBIDDEN decision="no policy permits it" ip=192.0.2.7 id=\w+` + "\n"
		failed  = `2026-06-01T12:00:0\S+ failure 1 failed attempts network=198.51.100.9 method=apikey reason=INVALID_TOKEN credential="evil\\x1b\[2J id" since=\S+` + "\n"
		unknown = `2026-06-01T12:00:0\S+ unknown pins:delete tenant=t1 principal=ursula object=r1 cid=bafyr1 ip=192.0.2.7 id=\w+` + "\n"
	)
	for _, tc := range []struct {
		flags string
		want  string
	}{
		{"", created + denied + failed + unknown},
		{"--principal ursula", created + unknown},
		{"--action pins:delete", denied + unknown},
		{"--verdict denied", denied},
		{"--verdict unknown", unknown},
		{"--verdict success --tenant t1", created},
		{"--tenant t2", ""},
		{"--object bafyr1 --principal adam", denied},
		{"--ip 198.51.100.9", failed},
		{"--limit 1", unknown},
		{"--until 2026-06-01T00:00:00Z", ""},
		{"--since 2026-06-01T12:00:00Z --limit 2", failed + unknown},
		{"--since 2026-06-02T00:00:00Z", ""},
	} {
		got := mustRun(t, folder, "", append([]string{"audit", "search"}, strings.Fields(tc.flags)...)...)
		if !regexp.MustCompile("^" + tc.want + "$").MatchString(got.stdout) {
			t.Errorf("search %s:\n%swant\n%s", tc.flags, got.stdout, tc.want)
		}
		if strings.Contains(got.stdout, "\x1b") {
			t.Error("a terminal would do what a client has written")
		}
	}
	for _, args := range [][]string{{"search", "--json"}, {"export"}} {
		lines := strings.Split(strings.TrimSpace(mustRun(t, folder, "", append([]string{"audit"}, args...)...).stdout), "\n")
		var found audit.Found
		if len(lines) != 4 || json.Unmarshal([]byte(lines[1]), &found) != nil || found.Event.Actor.Principal != "adam" || found.Result.Verdict != audit.Denied {
			t.Errorf("%v: %d lines, %+v", args, len(lines), found)
		}
	}
	ocsf := strings.Split(strings.TrimSpace(mustRun(t, folder, "", "audit", "export", "--format", "ocsf", "--verdict", "failure").stdout), "\n")
	if len(ocsf) != 1 || !strings.Contains(ocsf[0], `"class_uid":3002`) {
		t.Errorf("as OCSF: %v", ocsf)
	}

	// What cannot be read is not passed over in silence.
	file := segment(t, folder)
	writeFile(t, readFile(t, file)+"x\n", file)
	got := run(t, folder, "", "audit", "search")
	if got.code != 1 || strings.Count(got.stdout, "\n") != 4 || got.stderr != "error searching the audit records: lines that could not be read: 1, see \"pin-gateway audit verify\"\n" {
		t.Errorf("with a line that is no record: %+v", got)
	}
}
