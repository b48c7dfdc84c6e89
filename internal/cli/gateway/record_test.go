package gateway

import (
	"encoding/json"
	"fmt"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
)

// TestChangesAreOnRecord: what commands change is on record with who did it and what came of
// it, and what they only read is not.
func TestChangesAreOnRecord(t *testing.T) {
	folder := withDatabase(t)
	const did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
	var tenant listedTenant
	must(t, json.Unmarshal([]byte(mustRun(t, folder, "", "tenant", "create", "--json", "acme").stdout), &tenant))
	must(t, json.Unmarshal([]byte(mustRun(t, folder, "", "tenant", "update", "--json", "--max-pins", "7", "acme").stdout), &tenant))
	if tenant.ID != "acme" || tenant.MaxPins != 7 || tenant.Created.IsZero() {
		t.Errorf("the tenant is %+v", tenant)
	}
	if shown := mustRun(t, folder, "", "tenant", "show", "acme").stdout; !regexp.MustCompile(`^TENANT .*\nacme +acme +\S+ +active +7 +none +none\n$`).MatchString(shown) {
		t.Errorf("the tenant is shown as\n%s", shown)
	}
	if shown := mustRun(t, folder, "", "tenant", "show", "--json", "acme").stdout; !strings.Contains(shown, `"maxPins": 7`) {
		t.Errorf("the tenant is shown as\n%s", shown)
	}
	var made, next struct {
		listedKey
		Key string
	}
	out := mustRun(t, folder, "", "key", "create", "--json", "--tenant", "acme", "--owner", "ci", "--role", "user", "--scope", "pins:*")
	must(t, json.Unmarshal([]byte(out.stdout), &made))
	if made.ID == "" || !strings.HasPrefix(made.Key, "icp_live_"+made.ID) || !strings.Contains(out.stderr, "It is not shown again") || strings.Contains(out.stderr, made.Key) {
		t.Errorf("made is %+v, %s", made.listedKey, out.stderr)
	}
	must(t, json.Unmarshal([]byte(mustRun(t, folder, "", "key", "rotate", "--json", "--tenant", "acme", made.ID).stdout), &next))
	mustRun(t, folder, "", "credential", "add", "--json", "--tenant", "acme", "--principal", "ci", did)
	revoked := mustRun(t, folder, "", "principal", "revoke", "--tenant", "acme", "ci").stdout
	if revoked != "revoked: all tokens and sessions until now, and 2 keys\n" {
		t.Errorf("revoked was %q", revoked)
	}
	for _, token := range []string{made.Key, next.Key} {
		if got := passes(verifier(t, folder), token, "192.0.2.7"); !strings.HasPrefix(got, "no: ") {
			t.Errorf("a key of who was revoked passes as %s", got)
		}
	}
	if again := mustRun(t, folder, "", "principal", "revoke", "--json", "--tenant", "acme", "ci").stdout; strings.Join(strings.Fields(again), "") != `{"revokedKeys":0}` {
		t.Errorf("revoked again was %q", again)
	}
	mustRun(t, folder, "", "credential", "remove", "--tenant", "acme", did)
	mustRun(t, folder, "", "key", "revoke", "--tenant", "acme", next.ID)
	checkRefused(t, folder, []refusal{
		{args: []string{"tenant", "create", "acme"}, want: `making the tenant: tenant "acme": it exists already`},
		{args: []string{"tenant", "show", "nobody"}, want: `reading the tenant: tenant "nobody": there is no such thing`},
		{args: []string{"principal", "revoke", "--tenant", "nobody", "ci"}, want: `reading the tenant: tenant "nobody": there is no such thing`},
	})

	me, err := user.Current()
	must(t, err)
	found, unread, err := audit.Search(filepath.Join(folder, "audit"), audit.Query{Principal: "cli:" + me.Username})
	must(t, err)
	var got []string
	for _, f := range found {
		r := f.Event.Resource
		got = append(got, fmt.Sprintf("%s %s %s %s of %s: %s %s", f.Event.Action, r.Kind, r.ID, r.Owner, r.Tenant, f.Result.Verdict, f.Result.ResourceID))
	}
	want := []string{
		"admin:tenants-create tenant acme  of acme: success acme", "admin:tenants-write tenant acme  of acme: success ",
		"keys:create key  ci of acme: success " + made.ID, "keys:rotate key " + made.ID + "  of acme: success " + next.ID,
		"credentials:add credential " + did + " ci of acme: success ", "principals:revoke principal ci  of acme: success ", "principals:revoke principal ci  of acme: success ",
		"credentials:remove credential " + did + "  of acme: success ", "keys:revoke key " + next.ID + "  of acme: success ",
		"admin:tenants-create tenant acme  of acme: failure ", "principals:revoke principal ci  of nobody: failure ",
	}
	if !slices.Equal(got, want) || unread != 0 {
		t.Errorf("on record is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	mustRun(t, folder, "", "audit", "verify")
	files, err := filepath.Glob(filepath.Join(folder, "audit", "*"))
	must(t, err)
	for _, name := range files {
		if text := readFile(t, name); strings.Contains(text, strings.Split(made.Key, "_")[3]) {
			t.Errorf("a secret is in %s", name)
		}
	}
}

// TestNothingWithoutRecord: what cannot be recorded is not done.
func TestNothingWithoutRecord(t *testing.T) {
	folder := withDatabase(t)
	t.Setenv("PIN_GATEWAY_AUDIT_FOLDER", writeFile(t, "", folder, "file"))
	if got := run(t, folder, "", "tenant", "create", "acme"); got.code != 1 || !strings.HasPrefix(got.stderr, "error recording what is to be done: ") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("without a folder: %+v", got)
	}
	if listed := mustRun(t, folder, "", "tenant", "list", "--json").stdout; listed != "" {
		t.Errorf("it was made without a record:\n%s", listed)
	}
}

// TestChangesAreInTheTable: records are in the table, beside a folder or without one, of one
// command after the other.
func TestChangesAreInTheTable(t *testing.T) {
	folder := withDatabase(t)
	t.Setenv("PIN_GATEWAY_AUDIT_TABLE", "true")
	mustRun(t, folder, "", "tenant", "create", "acme")
	t.Setenv("PIN_GATEWAY_AUDIT_FOLDER", "")
	mustRun(t, folder, "", "tenant", "create", "globex")
	for where, want := range map[string][]string{"--table": {"acme", "globex"}, "--folder=" + filepath.Join(folder, "audit"): {"acme"}} {
		var got []string
		for _, line := range strings.Split(strings.TrimSpace(mustRun(t, folder, "", "audit", "search", "--json", where).stdout), "\n") {
			var found struct {
				Event  audit.Event  `json:"event"`
				Result audit.Result `json:"result"`
			}
			must(t, json.Unmarshal([]byte(line), &found))
			if found.Event.Action == "admin:tenants-create" && found.Result.Verdict == audit.Success {
				got = append(got, found.Event.Resource.ID)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("with %s, on record are %q, want %q", where, got, want)
		}
	}
	mustRun(t, folder, "", "audit", "verify", "--table")
	mustRun(t, folder, "", "audit", "verify", "--folder", filepath.Join(folder, "audit"), "--copies")
}

// TestCommandsWaitForEachOther: two commands do not write records at once, nor beside a
// gateway with its own.
func TestCommandsWaitForEachOther(t *testing.T) {
	folder := initialized(t)
	cfg, err := (&command{configPath: filepath.Join(folder, config.FileName)}).loadConfig()
	must(t, err)
	first, err := openRecords(t.Context(), nil, cfg)
	must(t, err)
	opened := make(chan error)
	go func() {
		second, err := openRecords(t.Context(), nil, cfg)
		if err == nil {
			err = second.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("two have the records at once, %v", err)
	case <-time.After(5 * recordPoll):
	}
	must(t, first.Close())
	must(t, <-opened)
	files, err := cfg.Read()
	must(t, err)
	writer, err := cfg.AuditWriter()
	must(t, err)
	gateways, err := audit.OpenFile(audit.FileOptions{Dir: cfg.Resolve(cfg.Audit.Folder), Writer: writer, Key: files.AuditKey})
	must(t, err)
	third, err := openRecords(t.Context(), nil, cfg)
	must(t, err)
	must(t, third.Close())
	must(t, gateways.Close())
}
