package pins

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
)

// key is where a request is within its tenant's rows.
type key struct {
	slice   int64
	created int64 // milliseconds since the epoch
	rnd     int64
}

// newer reports whether k comes before other in lists.
func (k key) newer(other key) bool {
	if k.created != other.created {
		return k.created > other.created
	}
	return k.rnd > other.rnd
}

const (
	idVersion = 1
	idBytes   = 16
	// maxCreated is what fits into six bytes, in the year 10889.
	maxCreated = 1<<48 - 1
)

// ids is base32 as RFC 4648 has it, in lower case: an ID is 26 characters.
var ids = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding) //nolint:gochecknoglobals // never changed

// id is the key as clients see it: a version, the level of the slice, created and rnd. The
// slice follows from its level.
func (k key) id() string {
	var b [idBytes]byte
	binary.BigEndian.PutUint64(b[:8], uint64(k.created))
	b[0], b[1] = idVersion, byte(levelOf(k.slice))
	binary.BigEndian.PutUint64(b[8:], uint64(k.rnd))
	return ids.EncodeToString(b[:])
}

// parseID reads an ID. Each key has one text: any other is none.
func parseID(text string) (key, bool) {
	if len(text) != ids.EncodedLen(idBytes) {
		return key{}, false
	}
	b, err := ids.DecodeString(text) // it reads over line breaks
	if err != nil || len(b) != idBytes || b[0] != idVersion || int(b[1]) >= levels {
		return key{}, false
	}
	k := key{rnd: int64(binary.BigEndian.Uint64(b[8:]))}
	level := int(b[1])
	b[0], b[1] = 0, 0
	k.created = int64(binary.BigEndian.Uint64(b[:8]))
	k.slice = sliceOf(k.created, level)
	return k, k.id() == text
}

// newRnd returns 64 random bits.
func newRnd() (int64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("drawing a request id: %w", err)
	}
	return int64(binary.BigEndian.Uint64(b[:])), nil
}
