// Package keycloaktest gives tests a real Keycloak, an issuer of OIDC tokens that they
// can change, rotate the keys of, and freeze.
//
//	k := keycloaktest.Start(t)
//	token := k.Token(t, "t1-user")
//	…
//	k.RotateKeys(t)
//
// The realm "ipfs" has the roles of the gateway's policies and a user of each in each
// tenant: t1-viewer, t1-user, t1-user2, t1-admin, t1-auditor; t2-viewer, t2-user,
// t2-admin, t2-auditor; system-operator, system-auditor; and stranger, who has a role and
// no tenant. Its tokens name the tenant in the claim "tenant", the roles in
// "realm_access.roles", and scopes in "scopes", which are always ["*"].
//
// The first Start on a machine has Maven fetch Keycloak (159 MB) into the user's cache
// directory and builds it for its database, in half a minute. A start takes 16 seconds,
// and a Keycloak has half a GB of memory. It keeps its data in memory, listens on a free
// port of 127.0.0.1, and is killed when the test ends, or by the kernel when the process
// of the test does.
//
// A test without Keycloak is skipped, and says why; KEYCLOAK_REQUIRED=1 makes it fail.
package keycloaktest
