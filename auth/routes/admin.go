package routes

// adminTenant is what the paths that are about one tenant begin with.
const adminTenant = "/admin/tenants/{tenant}"

// Admin returns the routes by which tenants, keys and credentials are managed, and one's own
// keys. The tenant of a path is one that policies decide about: it need not be that of who
// asks.
func Admin() *Table {
	const (
		keys        = adminTenant + "/keys"
		principals  = adminTenant + "/principals/{principal}"
		credentials = principals + "/credentials"
	)
	return newTable([]Route{
		{Name: "OpenAPI", Method: "GET", Pattern: "/admin/openapi.json", Class: Open, Object: NoObject, Does: Serve},
		{Name: "GetPolicies", Method: "GET", Pattern: "/admin/policies", Class: Administer, Action: "admin:policies-read", Object: ClusterObject, Does: Serve},
		{Name: "ListTenants", Method: "GET", Pattern: "/admin/tenants", Class: Administer, Action: "admin:tenants-list", Object: ClusterObject, Does: Serve},
		{Name: "CreateTenant", Method: "POST", Pattern: "/admin/tenants", Class: Administer, Action: "admin:tenants-create", Object: ClusterObject, Does: Serve},
		{Name: "GetTenant", Method: "GET", Pattern: adminTenant, Class: Administer, Action: "admin:tenants-read", Object: TenantObject, Does: Serve},
		{Name: "UpdateTenant", Method: "PATCH", Pattern: adminTenant, Class: Administer, Action: "admin:tenants-write", Object: TenantObject, Does: Serve},
		{Name: "GetUsage", Method: "GET", Pattern: adminTenant + "/usage", Class: Administer, Action: "admin:quotas-read", Object: TenantObject, Does: Serve},
		{Name: "ListClaims", Method: "GET", Pattern: adminTenant + "/claims", Class: Administer, Action: "admin:claims-read", Object: TenantObject, Does: Serve},
		{Name: "ListKeys", Method: "GET", Pattern: keys, Class: Read, Action: "keys:list-all", Object: TenantObject, Does: Serve},
		{Name: "CreateKey", Method: "POST", Pattern: keys, Class: Write, Action: "keys:create", Object: KeyObject, Does: Serve},
		{Name: "RevokeKey", Method: "DELETE", Pattern: keys + "/{key}", Class: Write, Action: "keys:revoke", Object: KeyObject, Does: Serve},
		{Name: "RotateKey", Method: "POST", Pattern: keys + "/{key}/rotate", Class: Write, Action: "keys:rotate", Object: KeyObject, Does: Serve},
		{Name: "ListCredentials", Method: "GET", Pattern: credentials, Class: Read, Action: "credentials:list", Object: TenantObject, Does: Serve},
		{Name: "AddCredential", Method: "POST", Pattern: credentials, Class: Write, Action: "credentials:add", Object: TenantObject, Does: Serve},
		{Name: "RemoveCredential", Method: "DELETE", Pattern: credentials + "/{credential}", Class: Write, Action: "credentials:remove", Object: TenantObject, Does: Serve},
		{Name: "RevokePrincipal", Method: "POST", Pattern: principals + "/revoke", Class: Write, Action: "principals:revoke", Object: TenantObject, Does: Serve},
		{Name: "ListOwnKeys", Method: "GET", Pattern: "/keys", Class: Read, Action: "keys:list", Object: TenantObject, Does: Serve},
		{Name: "CreateOwnKey", Method: "POST", Pattern: "/keys", Class: Write, Action: "keys:create", Object: KeyObject, Does: Serve},
		{Name: "RevokeOwnKey", Method: "DELETE", Pattern: "/keys/{key}", Class: Write, Action: "keys:revoke", Object: KeyObject, Does: Serve},
		{Name: "RotateOwnKey", Method: "POST", Pattern: "/keys/{key}/rotate", Class: Write, Action: "keys:rotate", Object: KeyObject, Does: Serve},
	})
}
