package accounts

// Each of these may be sent again. Those with a condition write a mark that nobody else does,
// by which settle knows them, or remove what has one; the others carry their timestamp.
const (
	insertEntry = "INSERT INTO lists (list, made, id) VALUES (?, ?, ?) USING TIMESTAMP ?"
	deleteEntry = "DELETE FROM lists USING TIMESTAMP ? WHERE list = ? AND made = ?"
	selectFirst = "SELECT made, id FROM lists WHERE list = ? LIMIT ?"
	selectAfter = "SELECT made, id FROM lists WHERE list = ? AND made < ? LIMIT ?"

	tenantColumns = "id, made, name, disabled, max_pins, max_bytes, requests_per_second, rev"
	selectTenant  = "SELECT " + tenantColumns + " FROM tenants WHERE id = ?"
	selectTenants = "SELECT " + tenantColumns + " FROM tenants WHERE id IN ?"
	insertTenant  = "INSERT INTO tenants (" + tenantColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"
	updateTenant  = "UPDATE tenants SET name = ?, disabled = ?, max_pins = ?, max_bytes = ?, requests_per_second = ?, rev = ? WHERE id = ? IF rev = ?"

	keyColumns = "id, made, env, tenant, owner, roles, groups, scopes, networks, expires, created_by, digest, pepper, revoked, rotated_from, rev"
	selectKey  = "SELECT " + keyColumns + " FROM api_keys WHERE id = ?"
	selectKeys = "SELECT " + keyColumns + " FROM api_keys WHERE id IN ?"
	insertKey  = "INSERT INTO api_keys (" + keyColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"
	updateKey  = "UPDATE api_keys SET expires = ?, revoked = ?, rev = ? WHERE id = ? IF rev = ?"
	insertUse  = "INSERT INTO key_uses (id, used) VALUES (?, ?) USING TIMESTAMP ?"
	selectUses = "SELECT id, used FROM key_uses WHERE id IN ?"

	credentialColumns = "credential, made, principal, tenant, roles, groups, scopes, added_by, rev"
	selectCredential  = "SELECT " + credentialColumns + " FROM credentials WHERE credential = ?"
	selectCredentials = "SELECT " + credentialColumns + " FROM credentials WHERE credential IN ?"
	insertCredential  = "INSERT INTO credentials (" + credentialColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"
	updateCredential  = "UPDATE credentials SET roles = ?, groups = ?, scopes = ?, rev = ? WHERE credential = ? IF rev = ?"
	deleteCredential  = "DELETE FROM credentials WHERE credential = ? IF rev = ?"

	selectRevocation = "SELECT key, before FROM revocations WHERE key = ?"
	insertRevocation = "INSERT INTO revocations (key, before, revoked_by) VALUES (?, ?, ?) USING TTL ? AND TIMESTAMP ?"

	insertNonce = "INSERT INTO nonces (nonce, client, until) VALUES (?, ?, ?) USING TTL ? AND TIMESTAMP ?"
	selectNonce = "SELECT client, until, taken FROM nonces WHERE nonce = ?"
	takeNonce   = "UPDATE nonces USING TTL ? SET taken = ? WHERE nonce = ? IF client = ? AND taken = null"
	insertFirst = "INSERT INTO replays (key, first) VALUES (?, ?) IF NOT EXISTS USING TTL ?"
)

// hotStatements are those that requests of clients wait for.
func hotStatements() []string {
	return []string{selectTenant, selectKey, selectCredential, selectRevocation, selectNonce, insertFirst}
}
