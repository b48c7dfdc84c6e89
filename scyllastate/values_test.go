package scyllastate

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gocql/gocql"
)

// TestTokens holds the tokens of keys of every length against those that the
// server computes, and the pieces against where a scan finds the keys.
func TestTokens(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	keys := make(map[string]struct{})
	for n := 1; n <= 70; n++ {
		for _, fill := range []byte{0, 0x7f, 0x80, 0xff} {
			keys[string(bytes.Repeat([]byte{fill}, n))] = struct{}{}
		}
		for range 5 {
			key := make([]byte, n)
			for i := range key {
				key[i] = byte(rand.Uint32())
			}
			keys[string(key)] = struct{}{}
		}
	}
	for key := range keys {
		must(t, s.db.Session.Query("UPDATE pins SET rev = ?, pin = ? WHERE cid = ?", gocql.TimeUUID(), []byte{1}, []byte(key)).Exec())
	}
	iter := s.db.Session.Query("SELECT token(cid), cid FROM pins").Iter()
	var token int64
	var key []byte
	n := 0
	for ; iter.Scan(&token, &key); n++ {
		if got := tokenOf(key); got != token {
			t.Fatalf("the token of 0x%x is %d, got %d", key, token, got)
		}
	}
	must(t, iter.Close())
	if n != len(keys) {
		t.Fatalf("the server has %d keys, want %d", n, len(keys))
	}

	for _, pieces := range []int{1, 2, 3, 7, 100} {
		found := 0
		for piece := range pieces {
			must(t, s.ScanValues(ctx, piece, pieces, func(key, value []byte) error {
				found++
				if got := s.PieceOf(key, pieces); got != piece || len(value) != 1 {
					t.Errorf("0x%x is in piece %d of %d, got %d; value 0x%x", key, piece, pieces, got, value)
				}
				return nil
			}))
		}
		if found != len(keys) {
			t.Errorf("%d pieces hold %d keys, want %d", pieces, found, len(keys))
		}
	}
	if err := s.ScanValues(ctx, 3, 3, nil); err == nil {
		t.Error("there is a piece 3 of 3")
	}
}

// TestPieceBounds: a token lies in the piece whose range has it, also at the ends
// of ranges.
func TestPieceBounds(t *testing.T) {
	for _, pieces := range []int{2, 3, 1000, maxPieces} {
		for _, piece := range []int{0, 1, pieces / 2, pieces - 1} {
			r := rangeAt(piece, pieces)
			for _, token := range []int64{r.after + 1, r.upTo} {
				if got := pieceOfToken(token, pieces); got != piece {
					t.Errorf("token %d is in piece %d of %d, want %d", token, got, pieces, piece)
				}
			}
		}
	}
	if got := pieceOfToken(math.MaxInt64, 1); got != 0 {
		t.Errorf("of one piece it is in %d", got)
	}
}
