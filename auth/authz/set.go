package authz

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

// The bounds of a set. Parsers go as deep as what they read.
const (
	MaxFile     = 256 << 10 // bytes of one file
	MaxFiles    = 256
	MaxPolicies = 4096
	maxDepth    = 64 // brackets within brackets
)

const (
	schemaName = "schema.cedarschema"
	guardName  = "guard.cedar"
	policyExt  = ".cedar"
	casesExt   = ".tests.json"
)

//go:embed policies
var embedded embed.FS

// File is a file of policies, whose name ends in .cedar, or of their tests, .tests.json.
type File struct {
	Name string
	Text []byte
}

// Set is a complete set of policies. It does not change.
type Set struct {
	version  string
	policies policies
	byID     map[types.PolicyID]*policy
	fixed    types.EntityMap // actions and roles
	actions  map[string]*action
	cases    []Case
}

// action is what can be asked for.
type action struct {
	resources []types.EntityType // the types that it is for
	policies  policies           // all whose scope has it
}

type policy struct {
	id     types.PolicyID
	parsed *cedar.Policy
}

// policies are those of a set that an action may concern, by id.
type policies []policy

// All implements cedar.PolicyIterator.
func (p policies) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for i := range p {
			if !yield(p[i].id, p[i].parsed) {
				return
			}
		}
	}
}

// Version is the hash of schema, policies and tests.
func (s *Set) Version() string { return s.version }

// Actions returns the names of all actions, sorted.
func (s *Set) Actions() []string { return slices.Sorted(maps.Keys(s.actions)) }

// Policies returns the ids of all policies, sorted.
func (s *Set) Policies() []string {
	ids := make([]string, len(s.policies))
	for i, p := range s.policies {
		ids[i] = string(p.id)
	}
	return ids
}

// NewSet makes a set of the guards, the embedded roles unless withoutRoles, and own
// files. It fails, with all that is wrong, if a policy does not parse, has no @id or one
// that is taken, or does not fit the schema, or if a test has another outcome than
// expected.
func NewSet(own []File, withoutRoles bool) (*Set, error) {
	files, err := embeddedFiles(withoutRoles)
	if err != nil {
		return nil, err
	}
	s, err := parseSet(append(files, own...))
	if err != nil {
		return nil, err
	}
	if err := s.runCases(); err != nil {
		return nil, err
	}
	return s, nil
}

func embeddedFiles(withoutRoles bool) ([]File, error) {
	entries, err := embedded.ReadDir("policies")
	if err != nil {
		return nil, err
	}
	var files []File
	for _, entry := range entries {
		if withoutRoles && strings.HasPrefix(entry.Name(), "roles.") {
			continue
		}
		text, err := embedded.ReadFile("policies/" + entry.Name())
		if err != nil {
			return nil, err
		}
		files = append(files, File{"embedded/" + entry.Name(), text})
	}
	return files, nil
}

// parseSet makes a set without running its tests. The files must have the schema
// among them.
func parseSet(files []File) (*Set, error) {
	if len(files) > MaxFiles {
		return nil, fmt.Errorf("%d files of policies, more than %d", len(files), MaxFiles)
	}
	s := &Set{
		version: hash(files),
		byID:    make(map[types.PolicyID]*policy),
		fixed:   make(types.EntityMap),
		actions: make(map[string]*action),
	}
	i := slices.IndexFunc(files, func(f File) bool { return f.Name == "embedded/"+schemaName })
	if i < 0 {
		return nil, errors.New("there is no schema")
	}
	validator, err := s.parseSchema(files[i])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", files[i].Name, err)
	}
	var problems []error
	for j, f := range files {
		switch {
		case j == i:
		case len(f.Text) > MaxFile:
			problems = append(problems, fmt.Errorf("%s: %d bytes, more than %d", f.Name, len(f.Text), MaxFile))
		case strings.HasSuffix(f.Name, policyExt):
			problems = append(problems, s.parsePolicies(f, validator)...)
		case strings.HasSuffix(f.Name, casesExt):
			cases, err := parseCases(f)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", f.Name, err))
			}
			s.cases = append(s.cases, cases...)
		default:
			problems = append(problems, fmt.Errorf("%s: ends neither in %s nor in %s", f.Name, policyExt, casesExt))
		}
	}
	if len(s.policies) > MaxPolicies {
		problems = append(problems, fmt.Errorf("%d policies, more than %d", len(s.policies), MaxPolicies))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	slices.SortFunc(s.policies, func(a, b policy) int { return strings.Compare(string(a.id), string(b.id)) })
	for i := range s.policies {
		s.byID[s.policies[i].id] = &s.policies[i]
	}
	for name, a := range s.actions {
		env := eval.Env{Entities: s.fixed, Action: uid(actionType, name)}
		for _, p := range s.policies {
			scope := &ast.Policy{Principal: ast.Scope{}.All(), Action: p.parsed.AST().Action, Resource: ast.Scope{}.All()}
			if holds(scope, env).Holds {
				a.policies = append(a.policies, p)
			}
		}
	}
	return s, nil
}

func (s *Set) parseSchema(f File) (*validate.Validator, error) {
	var parsed schema.Schema
	parsed.SetFilename(f.Name)
	if err := parsed.UnmarshalCedar(f.Text); err != nil {
		return nil, err
	}
	resolved, err := parsed.Resolve()
	if err != nil {
		return nil, err
	}
	for id, a := range resolved.Actions {
		s.fixed[id] = a.Entity
		if a.AppliesTo != nil {
			s.actions[string(id.ID)] = &action{resources: a.AppliesTo.Resources}
		}
	}
	for _, role := range roleEntities() {
		s.fixed[role.UID] = role
	}
	return validate.New(resolved, validate.WithStrict()), nil
}

func (s *Set) parsePolicies(f File, validator *validate.Validator) []error {
	if d := depth(f.Text); d > maxDepth {
		return []error{fmt.Errorf("%s: brackets %d deep, more than %d", f.Name, d, maxDepth)}
	}
	parsed, err := cedar.NewPolicyListFromBytes(f.Name, f.Text)
	if err != nil {
		return []error{fmt.Errorf("%s: %w", f.Name, err)}
	}
	var problems []error
	for _, p := range parsed {
		complain := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("%s:%d: %w", f.Name, p.Position().Line, fmt.Errorf(format, args...)))
		}
		id := types.PolicyID(p.Annotations()["id"])
		switch {
		case id == "" || len(id) > 128:
			complain("the policy has no @id of 1 to 128 bytes")
			continue
		case s.byID[id] != nil:
			complain("there is another policy %q", id)
			continue
		}
		if err := validator.Policy(string(id), (*ast.Policy)(p.AST())); err != nil {
			complain("the policy %q: %w", id, err)
			continue
		}
		s.byID[id] = &policy{id, p}
		s.policies = append(s.policies, policy{id, p})
	}
	return problems
}

// depth returns how many brackets are open at once at most.
func depth(text []byte) int {
	open, most := 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case bytes.IndexByte([]byte("([{"), c) >= 0:
			open++
			most = max(most, open)
		case bytes.IndexByte([]byte(")]}"), c) >= 0:
			open--
		case c == '/' && bytes.HasPrefix(text[i:], []byte("//")):
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		}
	}
	return most
}

// hash is of names and texts with their lengths, so that no text can pass for another
// name.
func hash(files []File) string {
	texts := make(map[string][]byte, len(files))
	for _, f := range files {
		texts[f.Name] = f.Text
	}
	h := sha256.New()
	var length [8]byte
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		for _, part := range [][]byte{[]byte(name), texts[name]} {
			binary.BigEndian.PutUint64(length[:], uint64(len(part)))
			h.Write(length[:])
			h.Write(part)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
