package principal

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func good() Principal {
	return Principal{ID: "p1", Tenant: "t1", Roles: []string{"pin-user"}, Method: MethodJWT, Credential: "jti-1"}
}

func TestCheck(t *testing.T) {
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", MaxText+1)
	for name, spoil := range map[string]func(*Principal){
		"no method":         func(p *Principal) { p.Method = "" },
		"unknown method":    func(p *Principal) { p.Method = "basic" },
		"no id":             func(p *Principal) { p.ID = "" },
		"no tenant":         func(p *Principal) { p.Tenant = "" },
		"no credential":     func(p *Principal) { p.Credential = "" },
		"long id":           func(p *Principal) { p.ID = long },
		"line break":        func(p *Principal) { p.Tenant = "t1\nt2" },
		"right to left":     func(p *Principal) { p.ID = "p\u202e1" },
		"zero width":        func(p *Principal) { p.Tenant = "t\u200b1" },
		"not UTF-8":         func(p *Principal) { p.Subject = "\xff" },
		"long role":         func(p *Principal) { p.Roles = []string{long} },
		"role with control": func(p *Principal) { p.Groups = []string{"a\x00"} },
		"many scopes":       func(p *Principal) { p.Scopes = make([]string, MaxItems+1) },
	} {
		p := good()
		spoil(&p)
		if p.Check() == nil {
			t.Errorf("%s: %+v passes", name, p)
		}
	}
}

func TestSet(t *testing.T) {
	in := []string{"b", "", "a", "b"}
	if got := Set(in); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q", got)
	}
	if !slices.Equal(in, []string{"b", "", "a", "b"}) {
		t.Errorf("the argument was changed to %q", in)
	}
}

// The two kinds of error are told apart by type, through whatever wraps them.
func TestErrors(t *testing.T) {
	cause := errors.New("cause")
	var refusal *Refusal
	var unavailable *Unavailable
	err := Refuse("token expired", cause)
	if !errors.As(err, &refusal) || errors.As(err, &unavailable) || !errors.Is(err, cause) || refusal.Details != "token expired" {
		t.Errorf("a refusal is %#v", err)
	}
	if Refuse("x", nil).Error() != "x" {
		t.Errorf("got %q", Refuse("x", nil).Error())
	}
	err = CannotCheck(0, cause)
	refusal = nil
	if errors.As(err, &refusal) || !errors.As(err, &unavailable) || !errors.Is(err, cause) || unavailable.RetryAfter < time.Second {
		t.Errorf("what cannot be checked is %#v", err)
	}
}
