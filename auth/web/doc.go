// Package web serves pages for people: the pins of their tenant, with status and search, and
// their own API keys.
//
//	/ui/login              the issuers and the wallet by which one logs in
//	/ui/pins               the pins, newest first; a form adds one
//	/ui/pins/{pin}/remove  asks, and removes it
//	/ui/keys               the keys of who looks; a form makes one, and shows it once
//	/ui/keys/{key}/revoke  asks, and revokes it; …/rotate likewise
//
// Promised: a page is complete without scripts, but for the login with a wallet, which talks
// to a program in the browser. Whatever a user has written is shown as text. What is changed
// is decided and recorded by the door as in the other APIs. Who is not logged in, or no
// longer, is sent to the login. All that is wrong is said on a page, with the id of the
// request; what does not answer is said to be so, and never shown as an empty list.
//
// An attacker who gets a text of his into a page has nothing of it run, loaded or sent: the
// templates escape it, and the Content-Security-Policy lets a page use only the files of this
// package, be in no frame, and send forms only here. A form of another site changes
// nothing: the session's cookie does not count for it (package authn). A key is good for no
// more than the session that makes it, and is made by people only: not by another key.
package web
