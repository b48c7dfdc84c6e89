package native

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/peerapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pinapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
)

// pin is upstream's api.Pin in JSON, of a request.
type pin struct {
	ReplicationFactorMin int               `json:"replication_factor_min"`
	ReplicationFactorMax int               `json:"replication_factor_max"`
	Name                 string            `json:"name"`
	Mode                 string            `json:"mode"`
	ShardSize            uint64            `json:"shard_size"`
	UserAllocations      []string          `json:"user_allocations"`
	ExpireAt             time.Time         `json:"expire_at"`
	Metadata             map[string]string `json:"metadata"`
	PinUpdate            *string           `json:"pin_update"`
	Origins              []string          `json:"origins"`
	CID                  string            `json:"cid"`
	Type                 string            `json:"type"`
	Allocations          []string          `json:"allocations"`
	MaxDepth             int               `json:"max_depth"`
	Reference            *string           `json:"reference"`
	Timestamp            time.Time         `json:"timestamp"`
}

func toPin(r pins.Request) pin {
	return pin{
		ReplicationFactorMin: r.ReplMin, ReplicationFactorMax: r.ReplMax, Name: r.Name, Mode: "recursive", Metadata: r.Meta, Origins: r.Origins,
		CID: r.CID, Type: "pin", Allocations: []string{}, MaxDepth: -1, Timestamp: r.Created.UTC(),
	}
}

// info is upstream's api.GlobalPinInfo in JSON, of a request: what peers do is as they say
// it, the rest is the tenant's.
type info struct {
	CID         string                     `json:"cid"`
	Name        string                     `json:"name"`
	Allocations json.RawMessage            `json:"allocations"`
	Origins     []string                   `json:"origins"`
	Created     time.Time                  `json:"created"`
	Metadata    map[string]string          `json:"metadata"`
	PeerMap     map[string]json.RawMessage `json:"peer_map"`
}

// peerInfo is what is read of an info that a peer sends.
type peerInfo struct {
	CID         string                     `json:"cid"`
	Allocations json.RawMessage            `json:"allocations"`
	PeerMap     map[string]json.RawMessage `json:"peer_map"`
}

// ofRequest is what peers say of a CID, for one who asked for it.
func (p peerInfo) ofRequest(r pins.Request) info {
	out := info{
		CID: r.CID, Name: r.Name, Allocations: p.Allocations, Origins: r.Origins, Created: r.Created.UTC(), Metadata: r.Meta, PeerMap: p.PeerMap,
	}
	if out.Allocations == nil {
		out.Allocations = json.RawMessage("[]")
	}
	if out.PeerMap == nil {
		out.PeerMap = map[string]json.RawMessage{}
	}
	return out
}

// filter is a set of upstream's statuses. Empty is all of them.
type filter map[string]bool

// parseFilter reads upstream's list of statuses, of which some stand for several.
func parseFilter(text string) (filter, error) {
	set := make(filter)
	for one := range strings.SplitSeq(text, ",") {
		switch one = strings.TrimSpace(one); one {
		case "":
		case "error":
			set["cluster_error"], set["pin_error"], set["unpin_error"] = true, true, true
		case "queued":
			set["pin_queued"], set["unpin_queued"] = true, true
		case "cluster_error", "pin_error", "unpin_error", "pinned", "pinning", "unpinning", "unpinned", "remote", "pin_queued", "unpin_queued", "sharded",
			"unexpectedly_unpinned":
			set[one] = true
		default:
			return nil, door.Invalid("there is no status %.50q to filter by", one)
		}
	}
	return set, nil
}

// matches tells whether some peer has one of the statuses. It is an error if none has, and one
// that lives has not said what it does: a list without the pin would say that it has not.
func (f filter) matches(p peerInfo) (bool, error) {
	if len(f) == 0 {
		return true, nil
	}
	var silent error
	for peer, text := range p.PeerMap {
		var of struct{ Status, Error string }
		switch err := json.Unmarshal(text, &of); {
		case err != nil:
			silent = fmt.Errorf("reading what the peer %.100s does with %s: %w", peer, p.CID, err)
		case f[of.Status]:
			return true, nil
		case of.Status == "cluster_error" && !peerapi.Absent(of.Error):
			silent = fmt.Errorf("the peer %.100s does not say what it does with %s: %.500s", peer, p.CID, of.Error)
		}
	}
	return false, silent
}

// metaPrefix begins the parameters with metadata.
const metaPrefix = "meta-"

// parseOptions reads the options of a pin from a query, with upstream's names.
func parseOptions(values url.Values) (pins.NewRequest, error) {
	n := pins.NewRequest{Meta: make(map[string]string)}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := setOption(&n, name, values.Get(name)); err != nil {
			return n, err
		}
	}
	n.Region = n.Meta[pinapi.Region]
	return n, pinapi.CheckMeta(n.Meta)
}

func setOption(n *pins.NewRequest, name, value string) error {
	key, isMeta := strings.CutPrefix(name, metaPrefix)
	switch {
	case value == "":
		return nil // upstream's clients send all options
	case isMeta && key != "":
		n.Meta[key] = value
		return nil
	}
	var err error
	switch name {
	case "name":
		n.Name = value
	case "replication":
		n.ReplMin, err = strconv.Atoi(value)
		n.ReplMax = n.ReplMin
	case "replication-min":
		n.ReplMin, err = strconv.Atoi(value)
	case "replication-max":
		n.ReplMax, err = strconv.Atoi(value)
	case "origins":
		n.Origins = strings.Split(value, ",")
	case "mode":
		if value != "recursive" {
			return door.Invalid("mode is %.20q: only recursive pins are made through the gateway", value)
		}
	case "shard-size":
		if value != "0" {
			return door.Invalid("shard-size cannot be set through the gateway")
		}
	default:
		return door.Invalid("%.50q cannot be set through the gateway: name, replication, replication-min, replication-max, origins and meta-… can", name)
	}
	if err != nil {
		return door.Invalid("%s is %.20q, and not a number", name, value)
	}
	return nil
}

// parseQuery reads a query; what cannot be read must not be left out.
func parseQuery(c *door.Call) (url.Values, error) {
	values, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return nil, door.Invalid("the query cannot be read: %s", err)
	}
	if values.Get("local") == "true" {
		return nil, door.Invalid("local=true asks for one peer: through the gateway all are asked")
	}
	values.Del("local")
	return values, nil
}
