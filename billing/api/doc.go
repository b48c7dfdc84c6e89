// Package api is the HTTP API of billing, for the gateway and for operators. Owners do not reach it:
// the gateway asks for them.
//
// Each request has the token of the gateway or that of operators (Authorization: Bearer). The header
// Billing-Owner says whose usage is asked for: the id of a tenant, percent-encoded. It is the gateway
// that says so, and which owner may ask what is decided there.
//
// Promised:
//   - What is answered to a request of the gateway is of the owner in its header, and of nobody
//     else. Something of another owner is not there.
//   - What lists all owners is for operators only.
//   - Lists are answered by pages. A cursor is opaque: it is the one that a page came with, or a
//     mistake.
//   - Numbers that may be large are texts. Texts in CSV are no formulas.
//   - Errors are problem+json (RFC 9457), with a reason for programs as the gateway's have.
//   - A failure of the database is an error, never an empty answer.
//
// The document openapi.json says which paths there are, and is served at /openapi.json.
package api
