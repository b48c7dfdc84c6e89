package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Change is what happens to each pin on the way. The zero Change leaves pins as
// they are, byte for byte.
type Change struct {
	// ReplicationMin and ReplicationMax replace the replication factors of
	// every pin. Zero leaves them.
	ReplicationMin, ReplicationMax int
	// Allocations replace those of every pin. None leaves them.
	Allocations []peer.ID
	// Peers renames peers in the allocations, all at once: A=B, B=A swaps the
	// two. It comes after Allocations.
	Peers map[peer.ID]peer.ID
}

// Zero reports whether the change leaves every pin as it is.
func (c Change) Zero() bool {
	return c.ReplicationMin == 0 && c.ReplicationMax == 0 && len(c.Allocations) == 0 && len(c.Peers) == 0
}

// check refuses a change that no pin can take.
func (c Change) check() error {
	if c.ReplicationMin < 0 || c.ReplicationMax < 0 {
		return fmt.Errorf("replication factors %d to %d: use 1 or more, 0 leaves the pins as they are", c.ReplicationMin, c.ReplicationMax)
	}
	if c.ReplicationMax > 0 && c.ReplicationMin > c.ReplicationMax {
		return fmt.Errorf("the replication minimum %d is more than the maximum %d", c.ReplicationMin, c.ReplicationMax)
	}
	return nil
}

// Apply changes pin, by the rules of "state import", and reports whether anything
// in it is another now. It refuses a pin that it would leave with a replication
// minimum above the maximum. A pin that comes like this and keeps its replication
// factors is not refused: it is no worse than where it comes from. After an error
// the pin must not be used. Slices of the pin that change are new ones.
func (c Change) Apply(pin *api.Pin) (changed bool, err error) {
	changed, err = c.overwrite(pin)
	if err != nil {
		return false, err
	}
	renamed := c.rename(pin)
	return changed || renamed, nil
}

// overwrite is Apply without the renaming of peers.
func (c Change) overwrite(pin *api.Pin) (changed bool, err error) {
	if c.ReplicationMin > 0 && pin.ReplicationFactorMin != c.ReplicationMin {
		pin.ReplicationFactorMin, changed = c.ReplicationMin, true
	}
	if c.ReplicationMax > 0 && pin.ReplicationFactorMax != c.ReplicationMax {
		pin.ReplicationFactorMax, changed = c.ReplicationMax, true
	}
	if changed && pin.ReplicationFactorMin > pin.ReplicationFactorMax {
		return false, fmt.Errorf("the pin of %s would have replication factors %d to %d: change the minimum and the maximum together",
			pin.Cid, pin.ReplicationFactorMin, pin.ReplicationFactorMax)
	}
	if len(c.Allocations) > 0 && !slices.Equal(pin.Allocations, c.Allocations) {
		pin.Allocations, changed = slices.Clone(c.Allocations), true
	}
	return changed, nil
}

// rename gives the peers of the allocations their new names. Two that have the
// same name afterwards become one, at the place of the first. Allocations in which
// no name changes keep even the duplicates they have.
func (c Change) rename(pin *api.Pin) bool {
	isRenamed := func(id peer.ID) bool {
		to, ok := c.Peers[id]
		return ok && to != id
	}
	if !slices.ContainsFunc(pin.Allocations, isRenamed) {
		return false
	}
	renamed := make([]peer.ID, 0, len(pin.Allocations))
	for _, id := range pin.Allocations {
		if to, ok := c.Peers[id]; ok {
			id = to
		}
		if !slices.Contains(renamed, id) {
			renamed = append(renamed, id)
		}
	}
	pin.Allocations = renamed
	return true
}

// changeJSON is Change as it is stored and shown. The keys of a map that are
// strings are not encoded by their own method, hence the texts.
type changeJSON struct {
	ReplicationMin int               `json:"replication_min,omitempty"`
	ReplicationMax int               `json:"replication_max,omitempty"`
	Allocations    []string          `json:"allocations,omitempty"`
	Peers          map[string]string `json:"peers,omitempty"`
}

// MarshalJSON returns the same text for equal changes.
func (c Change) MarshalJSON() ([]byte, error) {
	j := changeJSON{ReplicationMin: c.ReplicationMin, ReplicationMax: c.ReplicationMax}
	for _, id := range c.Allocations {
		j.Allocations = append(j.Allocations, id.String())
	}
	if len(c.Peers) > 0 {
		j.Peers = make(map[string]string, len(c.Peers))
	}
	for from, to := range c.Peers {
		j.Peers[from.String()] = to.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Change) UnmarshalJSON(data []byte) error {
	var j changeJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	read := Change{ReplicationMin: j.ReplicationMin, ReplicationMax: j.ReplicationMax}
	for _, text := range j.Allocations {
		id, err := peer.Decode(text)
		if err != nil {
			return fmt.Errorf("%q is not a peer ID: %w", text, err)
		}
		read.Allocations = append(read.Allocations, id)
	}
	if len(j.Peers) > 0 {
		read.Peers = make(map[peer.ID]peer.ID, len(j.Peers))
	}
	for from, to := range j.Peers {
		if err := addPeer(read.Peers, from, to); err != nil {
			return err
		}
	}
	*c = read
	return nil
}

// String returns the change as one line of JSON, the same for equal changes.
// That of the zero Change is "{}".
func (c Change) String() string {
	text, err := c.MarshalJSON()
	if err != nil { // numbers and strings can always be encoded
		return err.Error()
	}
	return string(text)
}

// RecordedChange returns the change that the pins of m were brought in with.
func RecordedChange(m state.Migration) (Change, error) {
	if m.Options == "" {
		return Change{}, nil
	}
	var c Change
	if err := json.Unmarshal([]byte(m.Options), &c); err != nil {
		return Change{}, fmt.Errorf("reading what the migration of %s has changed in the pins: %w: say it again on the command line", m.ID, err)
	}
	return c, nil
}

// fingerprint identifies what a run brings in: the content of the source, and
// what becomes of it. It is empty when the source cannot tell.
func (c Change) fingerprint(source string) string {
	if source == "" {
		return ""
	}
	// The length keeps the end of one apart from the beginning of the other.
	sum := sha256.Sum256([]byte(strconv.Itoa(len(source)) + ":" + source + c.String()))
	return hex.EncodeToString(sum[:])
}

// errNoValue is for records without any content.
var errNoValue = errors.New("the value is empty")

// decodePin returns the pin that is stored as value under c.
func decodePin(c api.Cid, value []byte) (api.Pin, error) {
	if !c.Defined() {
		return api.Pin{}, errors.New("the CID is missing")
	}
	if len(value) == 0 {
		return api.Pin{}, errNoValue
	}
	var pin api.Pin
	if err := pin.ProtoUnmarshal(value); err != nil {
		return api.Pin{}, fmt.Errorf("the value is not a pin: %w", err)
	}
	pin.Cid = c
	return pin, nil
}
