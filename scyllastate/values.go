package scyllastate

import (
	"context"
	"fmt"
	"math"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var _ state.Values = (*Store)(nil)

// ScanValues implements state.Values. The pieces are those of ScanPiece.
func (s *Store) ScanValues(ctx context.Context, piece, pieces int, f func(key, value []byte) error) error {
	if pieces < 1 || pieces > maxPieces || piece < 0 || piece >= pieces {
		return fmt.Errorf("there is no piece %d of %d", piece, pieces)
	}
	return s.scanRange(ctx, gocql.Quorum, rangeAt(piece, pieces), func(row scanned) error { return f(row.key, row.value) })
}

// PieceOf implements state.Values. It computes the token as the server does,
// without asking it.
func (s *Store) PieceOf(key []byte, pieces int) int { return pieceOfToken(tokenOf(key), pieces) }

// pieceOfToken is the inverse of rangeAt.
func pieceOfToken(token int64, pieces int) int {
	if pieces <= 1 {
		return 0
	}
	smallest := int64(math.MinInt64)
	before := uint64(token) - uint64(smallest) - 1 // tokens before it; no key has the smallest
	return int(before / (math.MaxUint64/uint64(pieces) + 1))
}
