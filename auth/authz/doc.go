// Package authz decides whether a principal may do something, by policies in the Cedar
// language (https://docs.cedarpolicy.com).
//
// An Authorizer has one Set of policies, which is complete and never changes; a newer
// Set takes its place at once. A Set consists of the guards, which nothing undoes, the
// embedded roles unless they are left out, and an operator's own policies from a
// Source. It is taken only after it was parsed, its policies fitted the schema, and all
// tests that lie beside them had the expected outcome; until then the last good one
// decides.
//
// What is promised:
//
//   - What no policy permits is denied, and one policy that forbids outweighs all that
//     permit.
//   - A policy that cannot be evaluated denies, and is named: Cedar itself would leave it
//     out, and one that forbids would be lost.
//   - No policy lets anybody into another tenant, or beyond the scopes of the credential,
//     or lets them make things that belong to others: the guards. The exception is
//     the tenant "system", in which operator and auditor count for the whole cluster; a
//     tenant's own identity provider must not be able to name that tenant.
//   - Each Decision says which policies made it and by which Set.
//   - A policy file that is being written is not taken, however the writer stops: files
//     count only when they are as the manifest says (see Folder).
//
// What an attacker cannot do: be allowed something by leaving out a field. A principal
// without tenant, id or scopes has no rights; what is longer than the bounds of Request
// is denied without being evaluated.
//
// What is not promised: Cedar's validator is in a part of cedar-go that may change
// between versions, and is not the one in Rust. Replacing a pin makes a new one: who
// does so asks pins:replace of the old one and pins:create of the new one. A list is not
// decided row by row: pins:list is for the tenant, whose pins are one partition.
//
// Authorizer and Set may be used by any number of goroutines at once. Decisions take
// no lock.
package authz
