package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	libp2p "github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// variedPins returns n pins: all samples, and ordinary ones with CIDs of all
// usual kinds. The same n gives the same pins.
func variedPins(t *testing.T, n int) []api.Pin {
	t.Helper()
	var pins []api.Pin
	for _, sample := range statetest.Samples(t) {
		pins = append(pins, sample.Pin)
	}
	peers := []libp2p.ID{statetest.Peer("a"), statetest.Peer("b"), statetest.Peer("c")}
	for i := len(pins); i < n; i++ {
		pin := api.PinWithOpts(api.NewCid(variedCid(t, i)), api.PinOptions{
			ReplicationFactorMin: 1 + i%2, ReplicationFactorMax: 2 + i%3,
			Name:     fmt.Sprintf("pin %d of a migration", i),
			Metadata: map[string]string{"number": fmt.Sprint(i), "kind": "varied"},
		})
		pin.Allocations = peers[:1+i%3]
		switch i % 7 {
		case 0:
			pin.ReplicationFactorMin, pin.ReplicationFactorMax, pin.Allocations = -1, -1, nil
		case 1:
			pin.ExpireAt = time.Date(2040, 1, 1, 0, 0, i, 0, time.UTC)
		case 2:
			pin.Metadata = nil
		}
		pin.Timestamp = time.Date(2025, 1, 2, 3, 4, i, 0, time.UTC)
		pins = append(pins, pin)
	}
	return pins[:n]
}

// variedCid is one of some kinds: version 0 and 1, other codecs and hashes.
func variedCid(t *testing.T, i int) cid.Cid {
	t.Helper()
	code := uint64(multihash.SHA2_256)
	if i%5 == 4 {
		code = multihash.SHA2_512
	}
	hash, err := multihash.Sum(fmt.Appendf(nil, "varied %d", i), code, -1)
	if err != nil {
		t.Fatal(err)
	}
	switch i % 5 {
	case 0:
		return cid.NewCidV0(hash)
	case 1:
		return cid.NewCidV1(cid.Raw, hash)
	case 2:
		return cid.NewCidV1(0x300001, hash) // a codec that nobody knows
	}
	return cid.NewCidV1(cid.DagProtobuf, hash)
}

// typed leaves out the pins of no type, which only an import of stock takes.
func typed(pins []api.Pin) []api.Pin {
	return slices.DeleteFunc(pins, func(pin api.Pin) bool { return pin.Type == 0 || pin.Type == api.BadType })
}

// lasting leaves out the pins that run out, which no running peer keeps.
func lasting(pins []api.Pin) []api.Pin {
	return slices.DeleteFunc(pins, func(pin api.Pin) bool { return !pin.ExpireAt.IsZero() })
}

// writeExport writes pins as an export has them, and returns the path.
func writeExport(t *testing.T, pins []api.Pin) string {
	t.Helper()
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	for _, pin := range pins {
		if err := enc.Encode(pin); err != nil {
			t.Fatal(err)
		}
	}
	return writeFile(t, "pins.json", text.Bytes())
}

// writeFile writes a file into a folder of its own.
func writeFile(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// stockFolder is the folder of a stock peer, which has never run, with the pins
// of an export in it. It returns the lines that stock exports of it, in order:
// they are not always those of the file.
func stockFolder(t *testing.T, pins []api.Pin, flags ...string) (p *peer, lines []string) {
	t.Helper()
	p = initPeer(t, stock, nil, nil, flags...)
	mustRun(t, p.as(t, stock, "state", "import", "-f", writeExport(t, pins)))
	if lines = exportedBy(t, p, stock); len(lines) != len(pins) {
		t.Fatalf("stock has imported %d pins and exports %d", len(pins), len(lines))
	}
	return p, lines
}

// plainPins are the plain pins of a line each, for what is about counts only: a
// third of them on every peer, the others on two of five. Some run out.
func plainPins(t *testing.T, n int) []api.Pin {
	t.Helper()
	pins := make([]api.Pin, n)
	for i := range pins {
		pins[i] = api.PinWithOpts(api.NewCid(variedCid(t, i)), api.PinOptions{
			ReplicationFactorMin: -1, ReplicationFactorMax: -1, Name: fmt.Sprintf("plain %d", i),
		})
		pins[i].Timestamp = time.Date(2025, 1, 2, 3, 4, i%60, 0, time.UTC)
		if i%3 > 0 {
			pins[i].ReplicationFactorMin, pins[i].ReplicationFactorMax = 1, 2
			pins[i].Allocations = []libp2p.ID{statetest.Peer(fmt.Sprint("holder ", i%5)), statetest.Peer(fmt.Sprint("holder ", (i+1)%5))}
		}
		if i%7 == 0 {
			pins[i].ExpireAt = time.Date(2099, 1, 1, 0, i%60, 0, 0, time.UTC)
		}
	}
	return pins
}
