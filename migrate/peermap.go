package migrate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
)

// ParsePeerMap reads "OLD=NEW,OLD2=NEW2", where each is a peer ID. Blanks around
// them do not matter. Several old peers may become one new one, but no old peer
// can become two. An empty text is a nil map.
func ParsePeerMap(text string) (map[peer.ID]peer.ID, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	peers := make(map[peer.ID]peer.ID)
	for _, pair := range strings.Split(text, ",") {
		from, to, ok := strings.Cut(pair, "=")
		err := errors.New("there is no \"=\" in it")
		if ok {
			err = addPeer(peers, strings.TrimSpace(from), strings.TrimSpace(to))
		}
		if err != nil {
			return nil, fmt.Errorf("reading the map of peers, %q: %w: write OLD=NEW,OLD2=NEW2 with peer IDs", strings.TrimSpace(pair), err)
		}
	}
	return peers, nil
}

// addPeer adds one pair of peer IDs.
func addPeer(peers map[peer.ID]peer.ID, from, to string) error {
	old, err := peer.Decode(from)
	if err != nil {
		return fmt.Errorf("%q is not a peer ID: %w", from, err)
	}
	renamed, err := peer.Decode(to)
	if err != nil {
		return fmt.Errorf("%q is not a peer ID: %w", to, err)
	}
	if _, twice := peers[old]; twice {
		return fmt.Errorf("the peer %s is there twice", old)
	}
	peers[old] = renamed
	return nil
}
