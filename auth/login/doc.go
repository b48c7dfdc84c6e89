// Package login exchanges a proof of who somebody is for a session of the gateway: the answer
// to a challenge, signed with the key of a did:key; a text signed by a wallet (EIP-4361); or
// a login at an OIDC issuer, by a browser. It also ends sessions.
//
//	POST /auth/did/challenge  {"did"}                           {"nonce","aud","exp"}
//	POST /auth/did/token      {"jws"}                           {"access_token","token_type","expires_in"}
//	GET  /auth/siwe/nonce     ?address&chain, or neither        {"nonce","expires","message"} and a cookie
//	POST /auth/siwe/verify    {"message","signature","cookie"}  as of did/token, or a cookie
//	GET  /auth/oidc/login     ?issuer=URL&return=/path          303 to the issuer
//	GET  /auth/oidc/callback  ?state&code                       303 to the path, and a cookie
//	POST /auth/logout                                           204, or 303 to a page by a form
//
// Promised: there is no session without a proof that was made for this gateway, a moment ago,
// and for the one exchange; of many who show the same proof, one gets a session, whichever
// instances they ask. A session is handed out after its login is on record, and never while
// no record can be written. What cannot be checked now is 503, never 401, and the client
// begins again: a challenge, a nonce and a code are used up when they were looked at. All
// answers are for one reader (Cache-Control: no-store), errors are application/problem+json
// with the reasons of auth/door, and no answer and no line of a log repeats a secret.
//
// An attacker cannot send anybody from here to another site, has no use for a code, a state
// or a nonce that he saw in a URL or in a log (each is bound to a cookie of the browser that
// began, which no script can read), cannot log a browser in as himself from his own page, and
// cannot log it out. Whoever begins logins without end makes rows that end by themselves,
// not more than Config.Attempts lets his network make.
//
// A browser that logs in at an issuer is who the issuer's access token says, by the same
// rules as if the token had come with a request: there is one place that knows what claims
// mean, the room jwt. The ID token shows only that the login is this one, of this browser.
// So an issuer has to be told to put our audience into the access tokens of the login's
// client, and the session ends no later than the access token.
//
// The cookies have the attribute Secure and names that begin with __Host-, also when the
// gateway is reached by plain http. Chromium, Firefox and curl then take and send them for
// localhost, as they trust it; other clients do not (Safari, the jar of net/http), nor does
// any for another host. Logins with a DID need no cookie.
//
// Two logins in one browser at the same time have one cookie: the later one counts, and the
// other has to begin again.
package login
