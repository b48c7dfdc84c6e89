package accounts

import (
	"context"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// takenLife is how long it is remembered that a nonce was taken: longer than it is good for
// and than a write of it can be late.
const takenLife = 24 * time.Hour

// Nonces are those of one kind of login: a did.Nonces, a siwe.Nonces or a login.States. Safe for concurrent
// use.
type Nonces struct {
	store *Store
	kind  string
}

// DIDNonces are the challenges of logins with a DID.
func (s *Store) DIDNonces() *Nonces { return &Nonces{store: s, kind: "did"} }

// WalletNonces are the nonces of logins with a wallet.
func (s *Store) WalletNonces() *Nonces { return &Nonces{store: s, kind: "siwe"} }

// LoginStates are the states of logins at issuers that have begun.
func (s *Store) LoginStates() *Nonces { return &Nonces{store: s, kind: "oidc"} }

// Put remembers that a nonce was given to a client, until a moment.
func (n *Nonces) Put(ctx context.Context, nonce, client string, until time.Time) error {
	// Any number of these, however late, write the same cells.
	err := n.store.write(ctx, scylla.Bind(insertNonce, n.key(nonce), client, until, ttl(until), until.UnixMicro()))
	return wrap(err, "remembering a nonce")
}

// Take takes a nonce away and returns to whom it was given, and false if it is not there or
// has ended. Of those who take one nonce at a time, one gets it. After an error nobody may
// get it any more.
//
// It is not deleted but marked: so the one who has taken it knows that although the first
// answer was lost, and a late Put does not bring it back.
func (n *Nonces) Take(ctx context.Context, nonce string) (string, bool, error) {
	var client string
	var until *time.Time
	var taken *gocql.UUID
	found, err := n.store.db.Read(ctx, gocql.Quorum, scylla.Bind(selectNonce, n.key(nonce)), &client, &until, &taken)
	switch {
	case err != nil:
		return "", false, wrap(err, "reading a nonce")
	case !found || taken != nil:
		return "", false, nil
	case until == nil || client == "":
		return "", false, stored(errIncomplete, "a nonce")
	case !time.Now().Before(*until):
		return "", false, nil
	}
	by, err := mark()
	if err != nil {
		return "", false, err
	}
	ours, _, err := n.store.settle(ctx, "taken", by, scylla.Bind(takeNonce, int(takenLife/time.Second), by, n.key(nonce), client))
	if err != nil || !ours {
		return "", false, wrap(err, "taking a nonce")
	}
	return client, true, nil
}

func (n *Nonces) key(nonce string) string { return n.kind + " " + nonce }

// First implements did.Replays.
func (s *Store) First(ctx context.Context, key string, until time.Time) (bool, error) {
	by, err := mark()
	if err != nil {
		return false, err
	}
	first, _, err := s.settle(ctx, "first", by, scylla.Bind(insertFirst, key, by, ttl(until)))
	return first, wrap(err, "remembering what was used")
}
