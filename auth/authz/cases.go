package authz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Case is a test of a set: a request and what must come of it.
type Case struct {
	// File and Name say where it stands.
	File, Name string
	Request    Request
	// Expect is allow, deny, or hide for what is denied and hidden.
	Expect string
	// Policies are exactly those that must have decided, sorted.
	Policies []string
}

// casesFile is the form of a file of tests. Principals and resources are named there
// once. A case without a context has that of calmContext.
type casesFile struct {
	Principals map[string]Principal    `json:"principals"`
	Resources  map[string]caseResource `json:"resources"`
	Cases      []struct {
		Name      string   `json:"name"`
		Principal string   `json:"principal"`
		Action    string   `json:"action"`
		Resource  string   `json:"resource"`
		Context   *Context `json:"context"`
		Expect    string   `json:"expect"`
		Policies  []string `json:"policies"`
	} `json:"cases"`
}

// caseResource has exactly one field set.
type caseResource struct {
	Pin     *Pin    `json:"pin"`
	Tenant  *Tenant `json:"tenant"`
	Key     *Key    `json:"key"`
	Cluster *bool   `json:"cluster"`
}

func (c caseResource) resource() (Resource, error) {
	var found []Resource
	if c.Pin != nil {
		found = append(found, *c.Pin)
	}
	if c.Tenant != nil {
		found = append(found, *c.Tenant)
	}
	if c.Key != nil {
		found = append(found, *c.Key)
	}
	if c.Cluster != nil {
		found = append(found, Cluster{})
	}
	if len(found) != 1 {
		return nil, errors.New("a resource is one of pin, tenant, key and cluster")
	}
	return found[0], nil
}

// ParseRequest reads a request from JSON, for a command line: principal, action, and
// resource as in a file of tests, and a context, which may be left out.
func ParseRequest(text []byte) (Request, error) {
	var parsed struct {
		Principal Principal    `json:"principal"`
		Action    string       `json:"action"`
		Resource  caseResource `json:"resource"`
		Context   *Context     `json:"context"`
	}
	if err := decodeStrictly(text, &parsed); err != nil {
		return Request{}, err
	}
	resource, err := parsed.Resource.resource()
	if err != nil {
		return Request{}, err
	}
	r := Request{parsed.Principal, parsed.Action, resource, calmContext()}
	if parsed.Context != nil {
		r.Context = *parsed.Context
	}
	return r, nil
}

// decodeStrictly reads exactly one JSON object without fields that are not known.
func decodeStrictly(text []byte, to any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(to); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// calmContext is an ordinary request, when nothing is special.
func calmContext() Context {
	return Context{IP: netip.AddrFrom4([4]byte{192, 0, 2, 1}), Time: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), TLS: true}
}

func parseCases(f File) ([]Case, error) {
	var parsed casesFile
	if err := decodeStrictly(f.Text, &parsed); err != nil {
		return nil, err
	}
	cases := make([]Case, 0, len(parsed.Cases))
	for _, c := range parsed.Cases {
		principal, known := parsed.Principals[c.Principal]
		if !known {
			return nil, fmt.Errorf("case %q: there is no principal %q", c.Name, c.Principal)
		}
		named, known := parsed.Resources[c.Resource]
		if !known {
			return nil, fmt.Errorf("case %q: there is no resource %q", c.Name, c.Resource)
		}
		resource, err := named.resource()
		if err != nil {
			return nil, fmt.Errorf("case %q: %w", c.Name, err)
		}
		if !slices.Contains([]string{"allow", "deny", "hide"}, c.Expect) || c.Policies == nil {
			return nil, fmt.Errorf("case %q: it must say what to expect (allow, deny, hide) and policies, which may be []", c.Name)
		}
		context := calmContext()
		if c.Context != nil {
			context = *c.Context
		}
		slices.Sort(c.Policies)
		cases = append(cases, Case{f.Name, c.Name, Request{principal, c.Action, resource, context}, c.Expect, c.Policies})
	}
	return cases, nil
}

// outcome is a decision in the words of Case.Expect.
func outcome(d Decision) string {
	switch {
	case d.Allowed:
		return "allow"
	case d.Hidden:
		return "hide"
	}
	return "deny"
}

// runCases runs the tests of the set. The error names all that failed.
func (s *Set) runCases() error {
	var problems []error
	for _, c := range s.cases {
		d := s.Decide(c.Request)
		if outcome(d) != c.Expect || !slices.Equal(d.Policies, c.Policies) || d.Refused != "" {
			problems = append(problems, fmt.Errorf("%s: %s: expected %s by %s, but it is %s: %s",
				c.File, c.Name, c.Expect, names(c.Policies), outcome(d), d.Reason()))
		}
	}
	return errors.Join(problems...)
}

// untested returns the policies that decide no test, sorted.
func (s *Set) untested() []string {
	decided := make(map[string]bool)
	for _, c := range s.cases {
		for _, id := range c.Policies {
			decided[id] = true
		}
	}
	return slices.DeleteFunc(s.Policies(), func(id string) bool { return decided[id] })
}

func names(ids []string) string {
	if len(ids) == 0 {
		return "no policy"
	}
	return strings.Join(ids, ", ")
}
