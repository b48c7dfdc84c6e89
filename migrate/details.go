package migrate

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
)

// details looks at the pins of all buckets that differ, a group of buckets at a
// time.
func (v *verifier) details(ctx context.Context) error {
	groups := v.groups()
	if len(groups) > v.limits.passes {
		v.notExamined(groups[v.limits.passes:])
		groups = groups[:v.limits.passes]
	}
	if len(groups) == 0 {
		return nil
	}
	v.meter.begin(PhaseDetails, 0, -1, v.found.Bad)
	for i, group := range groups {
		err := v.examine(ctx, group)
		if errors.Is(err, source.ErrReadOnce) {
			v.notExamined(groups[i:])
			break
		}
		if err != nil {
			return err
		}
		v.found.Passes++
	}
	v.meter.end()
	return nil
}

// notExamined counts the pins of buckets that differ and are not looked at.
func (v *verifier) notExamined(groups []group) {
	for _, group := range groups {
		for i := range group {
			v.found.NotExamined += int64(max(v.source[i].pins, v.target[i].pins))
		}
	}
}

// group is a set of buckets. It lies in as few pieces as can be.
type group map[int]struct{}

// groups returns the buckets that differ, in groups whose pins in the source fit
// into memory. A bucket that is too large for itself is a group of its own.
func (v *verifier) groups() []group {
	var groups []group
	room := int64(0)
	for i := range v.source {
		if v.source[i] == v.target[i] {
			continue
		}
		if len(groups) == 0 || int64(v.weights[i]) > room {
			groups = append(groups, make(group))
			room = v.limits.groupBytes
		}
		groups[len(groups)-1][i] = struct{}{}
		// A bucket weighs something even if the source has no pin in it.
		room -= int64(v.weights[i]) + 1
	}
	return groups
}

// pieces returns the pieces that the buckets of a group lie in.
func (v *verifier) pieces(g group) []int {
	var pieces []int
	for i := range g {
		pieces = append(pieces, v.grid.pieceOf(i))
	}
	slices.Sort(pieces)
	return slices.Compact(pieces)
}

// examine compares the pins of a group one by one.
func (v *verifier) examine(ctx context.Context, g group) error {
	expected := make(map[string][]byte)
	err := v.readSource(ctx,
		func(key, value []byte) {
			if _, ok := g[v.grid.bucketOf(v.dst.PieceOf(key, v.grid.pieces), key)]; !ok {
				return
			}
			if _, twice := expected[string(key)]; twice {
				v.found.Duplicates++
			}
			expected[string(key)] = value // the last one counts
		},
		func(string, error) {}, // counted in the first pass
		func(source.Position) {})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	corrupt := badRecords{n: v.found.CorruptTarget, list: v.found.CorruptTargetRows}
	err = v.scan(ctx, v.pieces(g), func(i int, key, value []byte) error {
		if _, ok := g[i]; !ok {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		want, ok := expected[string(key)]
		delete(expected, string(key))
		if ok && bytes.Equal(want, value) {
			return nil
		}
		if at, err := v.compare(key, want, value); err != nil {
			corrupt.add(at, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	v.found.CorruptTarget, v.found.CorruptTargetRows = corrupt.n, corrupt.list
	for key, value := range expected {
		pin, err := decodeRow([]byte(key), value)
		if err != nil { // it was decoded when it was read
			return err
		}
		if tooLarge(value) {
			v.found.leftOut(pin.Cid, len(value))
		} else {
			v.found.missing(&pin)
		}
	}
	return nil
}

// compare counts a row of the target that is not as it should be. Want is nil for
// one that should not be there. The error says that the row is no pin.
func (v *verifier) compare(key, want, value []byte) (at string, err error) {
	target, err := decodeRow(key, value)
	if err != nil {
		at = "key " + hex.EncodeToString(key)
		if c, castErr := api.CastCid(key); castErr == nil {
			at = c.String()
		}
		return at, err
	}
	if want == nil {
		v.found.extra(&target)
		return "", nil
	}
	source, err := decodeRow(key, want)
	if err != nil { // it was decoded when it was read
		return target.Cid.String(), err
	}
	same := sameContent(source, target)
	if tooLarge(want) && !same {
		v.found.leftOut(target.Cid, len(want))
	} else {
		v.found.differ(&source, &target, same)
	}
	return "", nil
}

// decodeRow returns the pin of a key and a value.
func decodeRow(key, value []byte) (api.Pin, error) {
	c, err := api.CastCid(key)
	if err != nil {
		return api.Pin{}, fmt.Errorf("the key is not a CID: %w", err)
	}
	return decodePin(c, value)
}

// sameContent reports whether two pins are encoded alike, if they are encoded now.
func sameContent(a, b api.Pin) bool {
	first, err := a.ProtoMarshal()
	if err != nil {
		return false
	}
	second, err := b.ProtoMarshal()
	return err == nil && bytes.Equal(first, second)
}
