package authz

import (
	"net/netip"

	"github.com/cedar-policy/cedar-go/types"
)

const (
	userType    = types.EntityType("User")
	roleType    = types.EntityType("Role")
	tenantType  = types.EntityType("Tenant")
	pinType     = types.EntityType("Pin")
	keyType     = types.EntityType("Key")
	clusterType = types.EntityType("Cluster")
	actionType  = types.EntityType("Action")
)

// entities are the two that a request is about. Actions and roles are those of a Set.
type entities struct {
	principal, resource types.Entity
	fixed               types.EntityMap
}

var _ types.EntityGetter = (*entities)(nil)

// Get implements types.EntityGetter.
func (e *entities) Get(uid types.EntityUID) (types.Entity, bool) {
	switch uid {
	case e.principal.UID:
		return e.principal, true
	case e.resource.UID:
		return e.resource, true
	}
	got, ok := e.fixed[uid]
	return got, ok
}

func uid(t types.EntityType, id string) types.EntityUID {
	return types.NewEntityUID(t, types.String(id))
}

// roleEntities are the roles that hold another: an admin may do what a user may, a
// user what a viewer may.
func roleEntities() []types.Entity {
	var out []types.Entity
	for _, pair := range held() {
		out = append(out, types.Entity{UID: uid(roleType, pair[0]), Parents: types.NewEntityUIDSet(uid(roleType, pair[1]))})
	}
	return out
}

// held has the roles that hold another, and that one; of those that it holds in turn, after
// its own.
func held() [][2]string { return [][2]string{{"admin", "user"}, {"user", "viewer"}} }

// request makes Cedar's request and entities. It must have been checked.
func (r *Request) request(fixed types.EntityMap) (types.Request, *entities) {
	e := &entities{fixed: fixed}
	e.setPrincipal(&r.Principal, r.Action)
	r.Resource.entity(e)
	ip := r.Context.IP.Unmap().WithZone("")
	return types.Request{
		Principal: e.principal.UID,
		Action:    uid(actionType, r.Action),
		Resource:  e.resource.UID,
		Context: types.NewRecord(types.RecordMap{
			"ip":        types.IPAddr(netip.PrefixFrom(ip, ip.BitLen())),
			"time":      types.NewDatetime(r.Context.Time),
			"tls":       types.Boolean(r.Context.TLS),
			"quotaUsed": types.Long(r.Context.QuotaUsed),
			"scope":     types.String(r.Action),
		}),
	}, e
}

func (e *entities) setPrincipal(p *Principal, action string) {
	parents := make([]types.EntityUID, 0, len(p.Roles)+1)
	parents = append(parents, uid(tenantType, p.Tenant))
	roles := make([]types.Value, 0, len(p.Roles))
	for _, role := range p.Roles {
		parents = append(parents, uid(roleType, role))
		roles = append(roles, types.String(role))
	}
	scopes := make([]types.Value, 0, len(p.Scopes)+1)
	for _, scope := range p.Scopes {
		scopes = append(scopes, types.String(scope))
		if covers(scope, action) {
			scopes = append(scopes, types.String(action))
		}
	}
	e.principal = types.Entity{
		UID:     uid(userType, p.ID),
		Parents: types.NewEntityUIDSet(parents...),
		Attributes: types.NewRecord(types.RecordMap{
			"tenant": uid(tenantType, p.Tenant),
			"roles":  types.NewSet(roles...),
			"method": types.String(p.Method),
			"mfa":    types.Boolean(p.MFA),
			"scopes": types.NewSet(scopes...),
		}),
	}
}

func (p Pin) entity(e *entities) {
	attributes := types.RecordMap{
		"tenant":  uid(tenantType, p.Tenant),
		"owner":   uid(userType, p.Owner),
		"cid":     types.String(p.CID),
		"name":    types.String(p.Name),
		"region":  types.String(p.Region),
		"replMin": types.Long(p.ReplMin),
		"replMax": types.Long(p.ReplMax),
	}
	if p.Size != nil {
		attributes["size"] = types.Long(*p.Size)
	}
	tags := make(types.RecordMap, len(p.Meta))
	for k, v := range p.Meta {
		tags[types.String(k)] = types.String(v)
	}
	e.resource = types.Entity{
		UID:        uid(pinType, p.ID),
		Parents:    types.NewEntityUIDSet(uid(tenantType, p.Tenant)),
		Attributes: types.NewRecord(attributes),
		Tags:       types.NewRecord(tags),
	}
}

func (t Tenant) entity(e *entities) {
	e.resource = types.Entity{UID: uid(tenantType, string(t))}
}

func (k Key) entity(e *entities) {
	e.resource = types.Entity{
		UID:     uid(keyType, k.ID),
		Parents: types.NewEntityUIDSet(uid(tenantType, k.Tenant)),
		Attributes: types.NewRecord(types.RecordMap{
			"tenant": uid(tenantType, k.Tenant),
			"owner":  uid(userType, k.Owner),
		}),
	}
}

func (Cluster) entity(e *entities) {
	e.resource = types.Entity{UID: uid(clusterType, "")}
}
