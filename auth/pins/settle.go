package pins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// mostRounds is how often in a row a CID is looked at whose claims or whose pin change
	// all the time.
	mostRounds = 8
	// decideMost is how old the claims may be by which a peer is asked for something.
	decideMost = 10 * time.Second
	// tellsAtOnce is how many requests are told a status at a time.
	tellsAtOnce = 8
)

// settle makes the cluster hold a CID if it is claimed, and not hold it if it is not. It
// returns after it has seen both agree: the claims read, then what the cluster has, then the
// claims again, with nothing asked of the peer between.
func (w *Worker) settle(ctx context.Context, cid string) (claims, observation, error) {
	fits := false // the replication was asked for, or need not be
	for range mostRounds {
		begun, at := w.service.now(), time.Now()
		before, err := w.service.claims(ctx, cid, &w.conf)
		if err != nil {
			return claims{}, observation{}, err
		}
		if err := w.service.at("settle: claims read"); err != nil {
			return claims{}, observation{}, err
		}
		st, err := w.status(ctx, cid)
		if err != nil {
			return claims{}, observation{}, err
		}
		if time.Since(at) > decideMost {
			continue
		}
		pin, unpin := wants(&before, &st)
		if !pin && !unpin && !fits && w.differs(&before, &st) {
			pin, fits = true, true // once: what the cluster makes of it is its matter
		}
		asked, err := w.ask(ctx, &before, &st, pin, unpin)
		if err != nil {
			return claims{}, observation{}, err
		}
		if asked {
			continue
		}
		after, err := w.service.claims(ctx, cid, &w.conf)
		if err != nil {
			return claims{}, observation{}, err
		}
		if pin, unpin := wants(&after, &st); !pin && !unpin && (fits || !w.differs(&after, &st)) {
			return after, observed(begun, st), nil
		}
	}
	return claims{}, observation{}, fmt.Errorf("%s and its claims did not agree in %d looks", cid, mostRounds)
}

// wants tells what to ask of the peer. A pin without the gateway's mark is somebody else's:
// it is neither replaced nor removed, and serves a claim as long as it is there.
func wants(c *claims, st *PeerStatus) (pin, unpin bool) {
	switch {
	case st.Present && !st.Ours:
		return false, false
	case c.any():
		return !st.Present, false
	default:
		return false, st.Present
	}
}

// differs reports whether the gateway's pin has another replication than is claimed.
func (w *Worker) differs(c *claims, st *PeerStatus) bool {
	return c.any() && st.Present && st.Ours &&
		(changed(c.replMin, cmp.Or(st.ReplMin, w.conf.DefaultMin)) || changed(c.replMax, cmp.Or(st.ReplMax, w.conf.DefaultMax)))
}

// changed reports whether a pin has another replication factor than it is to have. What the
// cluster makes of 0 may not be known.
func changed(want, is int) bool { return want != 0 && want != is }

// ask asks the peer for what is to be done, if anything is.
func (w *Worker) ask(ctx context.Context, c *claims, st *PeerStatus, pin, unpin bool) (asked bool, err error) {
	switch {
	case pin:
		err = w.pin(ctx, c, st)
	case unpin:
		err = w.peer.Unpin(ctx, st.CID)
	default:
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("asking the peer: %w", err)
	}
	return true, w.service.at("settle: asked")
}

// pin asks for a pin with what is claimed. If the cluster refuses that, the pin that is there
// stays if it has at least the default replication, and else gets that: who asks for too
// much keeps a CID from nobody. Requests for more are told, see observation.infoFor.
func (w *Worker) pin(ctx context.Context, c *claims, st *PeerStatus) error {
	pin := PeerPin{CID: st.CID, ReplMin: c.replMin, ReplMax: c.replMax, Origins: c.origins}
	err := w.peer.Pin(ctx, pin)
	if !errors.Is(err, ErrRefused) || pin.ReplMin == w.conf.DefaultMin && pin.ReplMax == w.conf.DefaultMax {
		return err
	}
	logger.Debugf("%s gets fewer copies than asked for: %s", st.CID, err)
	pin.ReplMin, pin.ReplMax = w.conf.DefaultMin, w.conf.DefaultMax
	if st.Present && !more(pin.ReplMin, st.ReplMin) && !more(pin.ReplMax, st.ReplMax) {
		return nil
	}
	return w.peer.Pin(ctx, pin)
}

// status is that of one CID.
func (w *Worker) status(ctx context.Context, cid string) (PeerStatus, error) {
	all, err := w.peer.Status(ctx, []string{cid})
	if err != nil {
		return PeerStatus{}, fmt.Errorf("asking the peer for a status: %w", err)
	}
	if len(all) != 1 {
		return PeerStatus{}, fmt.Errorf("the peer told %d statuses of one CID", len(all))
	}
	return all[0], nil
}

// tell makes requests say what was observed: all that claim the CID, if they may say another
// status, or else those that are named. It returns whether all of those say it now.
func (w *Worker) tell(ctx context.Context, cid string, c *claims, o observation, named []claimant) (bool, error) {
	to, all := named, c.status != o.status
	if all {
		to = c.of
	}
	results := make([]bool, len(to))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(tellsAtOnce)
	for i, one := range to {
		g.Go(func() (err error) {
			results[i], err = w.service.tell(gctx, one.tenant, one.key, o)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return false, err
	}
	for _, told := range results {
		if !told {
			return false, nil
		}
	}
	if all && c.any() {
		return true, w.service.toldAll(ctx, cid, o.status, o.begun)
	}
	return true, nil
}
