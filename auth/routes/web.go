package routes

// Web returns the routes of the pages for people: their own pins, and their own keys. What
// changes anything is a POST of a form; before what cannot be taken back there is a page
// that asks.
func Web() *Table {
	const (
		pin = "/ui/pins/{pin}"
		key = "/ui/keys/{key}"
	)
	return newTable([]Route{
		{Name: "LoginPage", Method: "GET", Pattern: "/ui/login", Class: Open, Object: NoObject, Does: Serve},
		{Name: "Style", Method: "GET", Pattern: "/ui/style.css", Class: Open, Object: NoObject, Does: Serve},
		{Name: "Script", Method: "GET", Pattern: "/ui/wallet.js", Class: Open, Object: NoObject, Does: Serve},
		{Name: "PinsPage", Method: "GET", Pattern: "/ui/pins", Class: Read, Action: "pins:list", Object: TenantObject, Does: Serve},
		{Name: "AddPin", Method: "POST", Pattern: "/ui/pins", Class: Write, Action: "pins:create", Object: PinObject, Does: Serve},
		{Name: "RemovePinPage", Method: "GET", Pattern: pin + "/remove", Class: Read, Action: "pins:read", Object: PinObject, Does: Serve},
		{Name: "RemovePin", Method: "POST", Pattern: pin + "/remove", Class: Write, Action: "pins:delete", Object: PinObject, Does: Serve},
		{Name: "KeysPage", Method: "GET", Pattern: "/ui/keys", Class: Read, Action: "keys:list", Object: TenantObject, Does: Serve},
		{Name: "CreateKey", Method: "POST", Pattern: "/ui/keys", Class: Write, Action: "keys:create", Object: KeyObject, Does: Serve},
		{Name: "RevokeKeyPage", Method: "GET", Pattern: key + "/revoke", Class: Read, Action: "keys:list", Object: TenantObject, Does: Serve},
		{Name: "RevokeKey", Method: "POST", Pattern: key + "/revoke", Class: Write, Action: "keys:revoke", Object: KeyObject, Does: Serve},
		{Name: "RotateKeyPage", Method: "GET", Pattern: key + "/rotate", Class: Read, Action: "keys:list", Object: TenantObject, Does: Serve},
		{Name: "RotateKey", Method: "POST", Pattern: key + "/rotate", Class: Write, Action: "keys:rotate", Object: KeyObject, Does: Serve},
	})
}
