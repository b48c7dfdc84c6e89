package authz

import (
	"bytes"
	"testing"
)

// FuzzNewSet feeds arbitrary texts as policies and as tests: never a panic, and no set
// in which somebody reaches into another tenant.
func FuzzNewSet(f *testing.F) {
	for _, file := range readFiles(f, "policies/guard.cedar", "policies/roles.cedar", "examples/attributes.cedar") {
		f.Add(file.Text, []byte(`{}`))
	}
	for _, file := range readFiles(f, "testdata/roles.tests.json", "examples/attributes.tests.json") {
		f.Add([]byte(freeze), file.Text)
	}
	f.Add([]byte(broken), []byte(notSure))
	f.Add([]byte(`@id("a") permit (principal, action, resource);`), []byte(`{"cases": null}`))
	f.Fuzz(func(t *testing.T, policies, cases []byte) {
		files := []File{{"own.cedar", policies}, {"own.tests.json", cases}}
		s, err := NewSet(files, true)
		if err != nil {
			return
		}
		foreign := hers()
		foreign.Tenant = "t2"
		for _, action := range []string{"pins:read", "pins:delete"} {
			r := Request{ursula(), action, foreign, calmContext()}
			if d := s.Decide(r); d.Allowed || outcome(d) != outcome(s.Explain(r).Decision) {
				t.Fatalf("%+v by %q", d, policies)
			}
		}
	})
}

// FuzzParseRequest: what is read can be decided, and without a tenant it is denied.
func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"principal": {"id": "u", "tenant": "t1", "roles": ["user"], "scopes": ["*"]}, "action": "pins:delete", "resource": {"pin": {"id": "r", "tenant": "t1", "owner": "u", "size": 7, "meta": {"a": "b"}}}}`))
	f.Add([]byte(`{"principal": {"id": "u"}, "action": "pins:list", "resource": {"tenant": "t1"}, "context": {"ip": "fe80::1%eth0", "time": "9999-12-31T23:59:59.999999999+14:00"}}`))
	f.Add([]byte(`{"action": "admin:cluster-read", "resource": {"cluster": true}}`))
	s := newSet(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRequest(text)
		if err != nil {
			return
		}
		if d := s.Decide(r); d.Allowed && (r.Principal.Tenant == "" || r.Principal.ID == "" || len(r.Principal.Scopes) == 0) {
			t.Fatalf("%s is allowed: %+v", text, d)
		}
		s.Explain(r)
	})
}

// FuzzManifest: what is read has the names and sums of its lines, and no more.
func FuzzManifest(f *testing.F) {
	f.Add([]byte("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.cedar\n"))
	f.Add([]byte("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.cedar"))
	f.Add([]byte("e3b0  ../a\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		sums, err := parseManifest(text)
		if err == nil && (len(sums) != bytes.Count(text, []byte("\n")) || text[len(text)-1] != '\n') {
			t.Fatalf("%q has %d files", text, len(sums))
		}
	})
}
