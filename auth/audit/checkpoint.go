package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Checkpoint says, signed, that a writer's record Seq had the hash Hash, and so how all
// records before it were.
type Checkpoint struct {
	Writer string `json:"writer"`
	Seq    int64  `json:"seq"`
	Hash   string `json:"hash"`
	Time   string `json:"time"`
	// Key names the public key, see KeyID.
	Key string `json:"key"`
	// Signature is of Ed25519, in base64.
	Signature string `json:"signature,omitempty"`
}

// CheckpointCopy is where checkpoints are kept besides the files, out of reach of whoever
// can write those.
type CheckpointCopy interface {
	PutCheckpoint(ctx context.Context, c Checkpoint) error
}

// KeyID names a public key in checkpoints.
func KeyID(key ed25519.PublicKey) string {
	h := sha256.Sum256(key)
	return hex.EncodeToString(h[:8])
}

// signedText is what a signature is of. It begins with what no other use of the key has.
func (c Checkpoint) signedText() ([]byte, error) {
	c.Signature = ""
	text, err := canonical(c)
	if err != nil {
		return nil, err
	}
	return append([]byte("ipfs-cluster-scylla audit checkpoint v1\n"), text...), nil
}

// sign makes the checkpoint of a record.
func sign(key ed25519.PrivateKey, writer string, seq int64, h hash, now string) (Checkpoint, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return Checkpoint{}, errors.New("the key has no public key of Ed25519")
	}
	c := Checkpoint{Writer: writer, Seq: seq, Hash: h.String(), Time: now, Key: KeyID(public)}
	text, err := c.signedText()
	if err != nil {
		return Checkpoint{}, err
	}
	c.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key, text))
	return c, nil
}

// Verify checks the signature by one of the keys.
func (c Checkpoint) Verify(keys []ed25519.PublicKey) error {
	for _, key := range keys {
		if len(key) != ed25519.PublicKeySize || KeyID(key) != c.Key {
			continue
		}
		signature, err := base64.StdEncoding.DecodeString(c.Signature)
		if err != nil {
			return fmt.Errorf("the signature of the checkpoint: %w", err)
		}
		text, err := c.signedText()
		if err != nil {
			return err
		}
		if !ed25519.Verify(key, text, signature) {
			return errors.New("the signature of the checkpoint is wrong")
		}
		return nil
	}
	return fmt.Errorf("the checkpoint is signed by a key that is not known, %.40q", c.Key)
}

// copyTimeout is how long one copy of a checkpoint may take.
const copyTimeout = 10 * time.Second

// copy is the goroutine that gives checkpoints to the copies.
func (c *Chain) copy() {
	defer close(c.copied)
	for checkpoint := range c.newest {
		for _, to := range c.options.Copies {
			ctx, cancel := context.WithTimeout(context.Background(), copyTimeout)
			err := to.PutCheckpoint(ctx, checkpoint)
			cancel()
			if err != nil {
				c.options.CheckpointFailed(fmt.Errorf("a copy of the checkpoint of %s at %d: %w", checkpoint.Writer, checkpoint.Seq, err))
			}
		}
	}
}

// sealed hands a checkpoint to copy, in place of one that still waits.
func (c *Chain) sealed(checkpoint Checkpoint) {
	select {
	case <-c.newest:
	default:
	}
	c.newest <- checkpoint
}
