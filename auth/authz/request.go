package authz

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unicode/utf8"
)

// SystemTenant is the tenant of those who run the cluster. Roles of others end at
// their tenant.
const SystemTenant = "system"

// AllScopes is the scope of a credential that is good for all that its owner may do.
const AllScopes = "*"

// The bounds of a Request. What is beyond them is denied.
const (
	MaxText  = 1024 // bytes of a text
	MaxNames = 64   // roles, scopes
	MaxMeta  = 1000 // entries of a pin's metadata
)

// Principal is who asks.
type Principal struct {
	ID     string   `json:"id"`
	Tenant string   `json:"tenant"`
	Roles  []string `json:"roles,omitempty"`
	// Method is how the principal showed who it is: jwt, apikey, did, siwe.
	Method string `json:"method,omitempty"`
	// MFA tells whether an issuer says that more than one factor was shown.
	MFA bool `json:"mfa,omitempty"`
	// Scopes are the names of actions that the credential is good for. "pins:*" are all
	// that begin with "pins:", AllScopes is all. Without scopes it is good for nothing.
	Scopes []string `json:"scopes,omitempty"`
}

// Resource is what something is done to: Pin, Tenant, Key or Cluster.
type Resource interface {
	check() error
	entity(e *entities)
}

// Pin is one request to pin, of one tenant. One that is being made has no ID.
type Pin struct {
	ID     string `json:"id,omitempty"`
	Tenant string `json:"tenant"`
	Owner  string `json:"owner"`
	CID    string `json:"cid,omitempty"`
	Name   string `json:"name,omitempty"`
	// Size is in bytes, nil while nobody knows it.
	Size    *int64            `json:"size,omitempty"`
	Region  string            `json:"region,omitempty"`
	ReplMin int               `json:"replMin,omitempty"`
	ReplMax int               `json:"replMax,omitempty"`
	Meta    map[string]string `json:"meta,omitempty"`
}

// Tenant is a tenant as a whole, by its id.
type Tenant string

// Key is an API key. One that is being made has no ID.
type Key struct {
	ID     string `json:"id,omitempty"`
	Tenant string `json:"tenant"`
	Owner  string `json:"owner"`
}

// Cluster are the peers behind the gateway.
type Cluster struct{}

// Context is what else is known of the request.
type Context struct {
	// IP is the address of the client, not of a proxy.
	IP   netip.Addr `json:"ip"`
	Time time.Time  `json:"time"`
	TLS  bool       `json:"tls,omitempty"`
	// QuotaUsed is the part of the tenant's quota that is used, in percent, of pins or
	// of bytes, whichever is more; 0 without a quota.
	QuotaUsed int64 `json:"quotaUsed,omitempty"`
}

// Request is what is asked of an Authorizer.
type Request struct {
	Principal Principal
	// Action is one of Set.Actions.
	Action   string
	Resource Resource
	Context  Context
}

// check says why a request is denied without being evaluated.
func (r *Request) check() error {
	p := &r.Principal
	if p.ID == "" || p.Tenant == "" {
		return errors.New("the principal has no id or no tenant")
	}
	if len(p.Roles) > MaxNames || len(p.Scopes) > MaxNames {
		return fmt.Errorf("the principal has more than %d roles or scopes", MaxNames)
	}
	if err := checkTexts(p.ID, p.Tenant, p.Method); err != nil {
		return fmt.Errorf("the principal: %w", err)
	}
	if err := errors.Join(checkTexts(p.Roles...), checkTexts(p.Scopes...)); err != nil {
		return fmt.Errorf("the principal's roles and scopes: %w", err)
	}
	if !r.Context.IP.IsValid() {
		return errors.New("the client has no address")
	}
	if r.Resource == nil {
		return errors.New("there is no resource")
	}
	return r.Resource.check()
}

func (p Pin) check() error {
	if p.Tenant == "" || p.Owner == "" {
		return errors.New("the pin has no tenant or no owner")
	}
	if len(p.Meta) > MaxMeta {
		return fmt.Errorf("the pin has more than %d entries of metadata", MaxMeta)
	}
	for k, v := range p.Meta {
		if err := checkTexts(k, v); err != nil {
			return fmt.Errorf("the pin's metadata: %w", err)
		}
	}
	if err := checkTexts(p.ID, p.Tenant, p.Owner, p.CID, p.Name, p.Region); err != nil {
		return fmt.Errorf("the pin: %w", err)
	}
	return nil
}

func (t Tenant) check() error {
	if t == "" {
		return errors.New("the tenant has no id")
	}
	return checkTexts(string(t))
}

func (k Key) check() error {
	if k.Tenant == "" || k.Owner == "" {
		return errors.New("the key has no tenant or no owner")
	}
	return checkTexts(k.ID, k.Tenant, k.Owner)
}

func (Cluster) check() error { return nil }

func checkTexts(texts ...string) error {
	for _, s := range texts {
		if len(s) > MaxText {
			return fmt.Errorf("a text has %d bytes, more than %d", len(s), MaxText)
		}
		if !utf8.ValidString(s) {
			return errors.New("a text is not UTF-8")
		}
	}
	return nil
}
