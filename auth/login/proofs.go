package login

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/siwe"
)

func (l *Login) didChallenge(w http.ResponseWriter, c *door.Call) error {
	var asked struct {
		DID string `json:"did"`
	}
	if err := read(w, c.Request, &asked); err != nil {
		return err
	}
	challenge, err := l.config.DID.Challenge(c.Request.Context(), asked.DID)
	if err != nil {
		return c.Refused(principal.MethodDID, err)
	}
	door.WriteJSON(w, http.StatusOK, "application/json", challenge)
	return nil
}

func (l *Login) didToken(w http.ResponseWriter, c *door.Call) error {
	var shown struct {
		JWS string `json:"jws"`
	}
	if err := read(w, c.Request, &shown); err != nil {
		return err
	}
	id, err := l.config.DID.Verify(c.Request.Context(), shown.JWS)
	if err != nil {
		return c.Refused(principal.MethodDID, err)
	}
	p, err := l.config.Owners.OfProof(c.Request.Context(), principal.MethodDID, id)
	if err != nil {
		return c.Refused(principal.MethodDID, err)
	}
	return l.answer(w, c, p, false)
}

func (l *Login) siweNonce(w http.ResponseWriter, c *door.Call) error {
	nonce, err := l.config.SIWE.Nonce(c.Request.Context())
	if err != nil {
		return c.Refused(principal.MethodSIWE, err)
	}
	text, err := l.walletText(c.Request.URL.Query(), nonce)
	if err != nil {
		return c.Refused(principal.MethodSIWE, err)
	}
	setCookie(w, handleCookie, nonce.Handle, nonce.Expires, http.SameSiteStrictMode)
	door.WriteJSON(w, http.StatusOK, "application/json", struct {
		Nonce   string    `json:"nonce"`
		Expires time.Time `json:"expires"`
		Message string    `json:"message,omitempty"`
	}{nonce.Nonce, nonce.Expires, text})
	return nil
}

// walletText returns the text to sign for the account and the chain that a query names, ""
// if it names none: whoever asks makes the text then.
func (l *Login) walletText(query url.Values, nonce siwe.Nonce) (string, error) {
	if !query.Has("address") && !query.Has("chain") {
		return "", nil
	}
	chain, err := strconv.ParseUint(query.Get("chain"), 10, 64)
	if err != nil || len(query["chain"]) != 1 || len(query["address"]) != 1 {
		return "", principal.RefuseMalformed("one address and one chain, by its number, are needed", nil)
	}
	return l.config.SIWE.Text(nonce, query.Get("address"), chain)
}

func (l *Login) siweVerify(w http.ResponseWriter, c *door.Call) error {
	var shown struct {
		Message   string `json:"message"`
		Signature string `json:"signature"`
		// Cookie has the session in a cookie, where no script of a page can read it.
		Cookie bool `json:"cookie"`
	}
	if err := read(w, c.Request, &shown); err != nil {
		return err
	}
	handle := readCookie(c.Request, handleCookie)
	if handle == "" {
		return c.Refused(principal.MethodSIWE, principal.Refuse("the cookie that came with the nonce is missing", nil))
	}
	proof, err := l.config.SIWE.Verify(c.Request.Context(), shown.Message, shown.Signature, handle)
	if err != nil {
		return c.Refused(principal.MethodSIWE, err)
	}
	clearCookie(w, handleCookie, http.SameSiteStrictMode)
	p, err := l.config.Owners.OfProof(c.Request.Context(), principal.MethodSIWE, proof.DID)
	if err != nil {
		return c.Refused(principal.MethodSIWE, err)
	}
	p.Expires = proof.Expires
	return l.answer(w, c, p, shown.Cookie)
}
