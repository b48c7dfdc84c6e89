package audit

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// append1 appends records as they are.
func appendAll(t *testing.T, f *File, records ...Record) {
	t.Helper()
	for _, r := range records {
		if err := f.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func search1(t *testing.T, dir string, q Query) []Found {
	t.Helper()
	found, unread, err := Search(dir, q)
	if err != nil || unread > 0 {
		t.Fatalf("%d lines could not be read, %v", unread, err)
	}
	return found
}

func ids(found []Found) string {
	var all []string
	for _, f := range found {
		all = append(all, f.ID+"="+string(f.Result.Verdict))
	}
	return strings.Join(all, " ")
}

func TestSearch(t *testing.T) {
	dir := t.TempDir()
	clock := newClock()
	f := openFile(t, FileOptions{Dir: dir, Now: clock.now})
	alice, bob := event("alice", "t1"), event("bob", "t2")
	bob.Action, bob.Resource.CID, bob.Actor.IP = "pins:create", "bafk", "198.51.100.1"
	appendAll(t, f,
		Record{Kind: Intent, ID: "done", Event: &alice}, Record{Kind: Intent, ID: "failed", Event: &bob},
		Record{Kind: Outcome, ID: "done", Result: &Result{Verdict: Success, Status: 202, ResourceID: "r9"}},
		Record{Kind: Outcome, ID: "failed", Result: &Result{Verdict: Failure, Status: 502}},
		Record{Kind: Outcome, ID: "turned", Result: &Result{Verdict: Success}}, Record{Kind: Intent, ID: "turned", Event: &alice},
		Record{Kind: Done, ID: "denied", Event: &bob, Result: &Result{Verdict: Denied, Status: 403}},
		Record{Kind: Intent, ID: "killed", Event: &alice},
		Record{Kind: Failed, Attempts: &Attempts{Network: "203.0.113.0/24", Count: 70}},
	)
	closeFile(t, f)
	middle := clock.now()
	f = openFile(t, FileOptions{Dir: dir, Now: clock.now})
	// An outcome after the next start would be of another process.
	appendAll(t, f, Record{Kind: Outcome, ID: "killed", Result: &Result{Verdict: Success}}, Record{Kind: Done, ID: "late", Event: &alice, Result: &Result{Verdict: Success}})
	closeFile(t, f)
	other := openFile(t, FileOptions{Dir: dir, Writer: "gw-2", Now: clock.now})
	appendAll(t, other, Record{Kind: Intent, ID: "slow", Event: &bob}, Record{Kind: Outcome, ID: "slow", Result: &Result{Verdict: Unknown, Status: 504}},
		Record{Kind: Intent, ID: "last", Event: &bob})
	closeFile(t, other)

	for name, test := range map[string]struct {
		query Query
		want  string
	}{
		"all":       {Query{}, "done=success failed=failure turned=success denied=denied killed=unknown =failure late=success slow=unknown last=unknown"},
		"newest":    {Query{Limit: 2}, "slow=unknown last=unknown"},
		"unknown":   {Query{Verdict: Unknown}, "killed=unknown slow=unknown last=unknown"},
		"tenant":    {Query{Tenant: "t2"}, "failed=failure denied=denied slow=unknown last=unknown"},
		"principal": {Query{Principal: "alice", Verdict: Success}, "done=success turned=success late=success"},
		"action":    {Query{Action: "pins:create"}, "failed=failure denied=denied slow=unknown last=unknown"},
		"id":        {Query{ID: "denied"}, "denied=denied"},
		"cid":       {Query{Object: "bafk", To: middle}, "failed=failure denied=denied"},
		"made":      {Query{Object: "r9"}, "done=success"},
		"ip":        {Query{IP: "198.51.100.1", To: middle}, "failed=failure denied=denied"},
		"network":   {Query{IP: "203.0.113.0/24"}, "=failure"},
		"from":      {Query{From: middle}, "late=success slow=unknown last=unknown"},
		"nothing":   {Query{From: middle.Add(time.Hour)}, ""},
	} {
		if got := ids(search1(t, dir, test.query)); got != test.want {
			t.Errorf("%s: %s\nwant %s", name, got, test.want)
		}
	}
	if len(search1(t, dir, Query{Limit: 4, From: middle})) != 3 {
		t.Error("a limit that is not reached")
	}

	path := segmentPath(dir, "gw-2", 1)
	if err := os.WriteFile(path, []byte("hello\n"+strings.Join(readAll(t, path), "")+"\n{\"half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, unread, err := Search(dir, Query{ID: "last"}); err != nil || unread != 1 || len(found) != 1 {
		t.Errorf("%v, %d, %v", found, unread, err)
	}
	if _, _, err := Search(dir+"/none", Query{}); err == nil {
		t.Error("no directory and no error")
	}
}

func TestExport(t *testing.T) {
	e := event("alice", "t1")
	found := []Found{
		{Writer: "gw-1", Seq: 7, Time: "2026-06-01T12:00:00.123456789Z", Kind: Intent, ID: "i", Event: &e, Result: Result{Verdict: Success, Status: 202, Micros: 5}},
		{Writer: "gw-1", Seq: 8, Time: "2026-06-01T12:00:00.123456789Z", Kind: Failed, Result: Result{Verdict: Failure}, Attempts: &Attempts{Network: "192.0.2.1", Method: "jwt", Reason: "INVALID_TOKEN", Count: 1}},
	}
	var text bytes.Buffer
	if err := Export(&text, found, JSON); err != nil {
		t.Fatal(err)
	}
	var back Found
	if err := json.Unmarshal([]byte(strings.Split(text.String(), "\n")[0]), &back); err != nil || back.Event.Actor != e.Actor || back.Result != found[0].Result {
		t.Errorf("%+v %v", back, err)
	}
	text.Reset()
	if err := Export(&text, found, OCSF); err != nil {
		t.Fatal(err)
	}
	var events []map[string]any
	for dec := json.NewDecoder(&text); dec.More(); {
		var event map[string]any
		if err := dec.Decode(&event); err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	for i, want := range []map[string]any{
		{"class_uid": 6003., "category_uid": 6., "activity_id": 4., "type_uid": 600304., "severity_id": 1., "status_id": 1., "time": 1780315200123.},
		{"class_uid": 3002., "category_uid": 3., "activity_id": 1., "type_uid": 300201., "status_id": 2., "count": 1., "status_detail": "INVALID_TOKEN"},
	} {
		for key, value := range want {
			if events[i][key] != value {
				t.Errorf("event %d: %s is %v, want %v", i, key, events[i][key], value)
			}
		}
	}
	if uid := events[0]["actor"].(map[string]any)["user"].(map[string]any)["uid"]; uid != "alice" {
		t.Errorf("the user is %v", uid)
	}
	if err := Export(&text, []Found{{}}, OCSF); err != nil {
		t.Errorf("what is empty: %v", err)
	}
	if Export(&text, found, "xml") == nil {
		t.Error("a format that there is not")
	}
	for action, want := range map[string]int{
		"pins:create": 1, "pins:list": 2, "keys:list-all": 2, "status:read": 2, "admin:tenants-list": 2, "admin:tenants-create": 1,
		"pins:replace": 3, "admin:quotas-write": 3, "pins:delete": 4, "keys:revoke": 4, "other": 99,
	} {
		if got := ocsfActivity(action); got != want {
			t.Errorf("%s: %d, want %d", action, got, want)
		}
	}
}

// FuzzVerify puts arbitrary bytes into the middle of a chain: Verify and Search end, and
// whatever is not what was there is a problem.
func FuzzVerify(f *testing.F) {
	dir := f.TempDir()
	file := openFile(f, FileOptions{Dir: dir, Now: newClock().now})
	fill(f, file, 3)
	closeFile(f, file)
	path := files(f, dir)[0].path
	lines := readAll(f, path)
	f.Add([]byte(lines[2]))
	f.Add([]byte(lines[2] + lines[3]))
	f.Add([]byte(lines[3] + lines[2]))
	f.Add([]byte(""))
	f.Add([]byte("\n\n{}\n"))
	f.Add([]byte(strings.Replace(lines[2], "alice", "bobby", 1)))
	f.Fuzz(func(t *testing.T, middle []byte) {
		if len(middle) > MaxLine {
			return
		}
		dir := t.TempDir()
		text := slices.Concat([]byte(lines[0]+lines[1]), middle, []byte(strings.Join(lines[3:], "")))
		if err := os.WriteFile(segmentPath(dir, "gw-1", 1), text, 0o600); err != nil {
			t.Fatal(err)
		}
		report := verify(t, dir, VerifyOptions{})
		if same := string(middle) == lines[2]; same != (len(report.Problems) == 0) {
			t.Fatalf("%q: %v", middle, report.Problems)
		}
		if _, _, err := Search(dir, Query{}); err != nil {
			t.Fatal(err)
		}
	})
}
