// Command issuer is an OIDC issuer for the demo, in place of a real one such as Keycloak:
// it publishes a key, and has signed a token for each user that it is told of. Nobody logs
// in, and whoever can read the folder is everybody: it is for the demo and nothing else.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// life is for how long the tokens are good.
const life = 12 * time.Hour

func main() {
	listen := flag.String("listen", "127.0.0.1:9080", "where it listens")
	folder := flag.String("folder", ".", "where it writes a file USER.jwt for each user")
	users := flag.String("users", "alice:demo:user", "users as NAME:TENANT:ROLE, with commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *folder, strings.Split(*users, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "issuer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, folder string, users []string) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	url := "http://" + listen
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: "demo"}},
		(&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return err
	}
	for _, user := range users {
		if err := write(signer, url, folder, user); err != nil {
			return err
		}
	}
	answers := map[string]any{
		"/.well-known/openid-configuration": map[string]string{"issuer": url, "jwks_uri": url + "/jwks"},
		"/jwks":                             jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "demo", Algorithm: string(jose.EdDSA), Use: "sig"}}},
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, has := answers[r.URL.Path]
		if !has {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // a client that has left needs none
	})}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	fmt.Println("issuing for", url)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// write writes the token of a user.
func write(signer jose.Signer, issuer, folder, user string) error {
	parts := strings.Split(user, ":")
	if len(parts) != 3 {
		return fmt.Errorf("%q is not NAME:TENANT:ROLE", user)
	}
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": issuer, "sub": parts[0], "aud": "pinning-api", "iat": now.Unix(), "exp": now.Add(life).Unix(), "jti": rand.Text(),
		"tenant": parts[1], "roles": []string{parts[2]}, "scopes": []string{"*"},
	})
	if err != nil {
		return err
	}
	token, err := signer.Sign(claims)
	if err != nil {
		return err
	}
	text, err := token.CompactSerialize()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, parts[0]+".jwt"), []byte(text), 0o600)
}
