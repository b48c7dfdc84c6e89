package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"go.uber.org/multierr"
)

// crdtState reads and writes the pinset of a stopped peer with the crdt
// consensus. Upstream's manager closes the datastore while goroutines of its
// own still read it, which ends some runs with a panic.
type crdtState struct {
	cmdutils.StateManager
	cfg *peerConfig
}

// newStateManager returns what works on the pinset of a stopped peer that keeps
// it itself.
func newStateManager(cfg *peerConfig) (cmdutils.StateManager, error) {
	manager, err := cmdutils.NewStateManagerWithHelper(cfg.ConfigHelper)
	if err != nil {
		return nil, fmt.Errorf("creating state manager: %w", err)
	}
	if cfg.backend == backendCRDT {
		return &crdtState{manager, cfg}, nil
	}
	return manager, nil
}

// ExportState writes all pins to w, one JSON object a line.
func (s *crdtState) ExportState(w io.Writer) error {
	return s.with(func(ctx context.Context, st *dsstate.BatchingState) error {
		_, err := exportPins(ctx, st, w, newProgress(io.Discard, "exported"))
		return err
	})
}

// ImportState replaces all pins by those in r, changed as opts says.
func (s *crdtState) ImportState(r io.Reader, opts api.PinOptions) error {
	if err := s.Clean(); err != nil {
		return err
	}
	return s.with(func(ctx context.Context, st *dsstate.BatchingState) error {
		// As lenient as upstream, unlike readPins.
		for dec := json.NewDecoder(r); ; {
			var pin api.Pin
			if err := dec.Decode(&pin); errors.Is(err, io.EOF) {
				return st.Commit(ctx)
			} else if err != nil {
				return fmt.Errorf("reading a pin: %w", err)
			}
			overwrite(&pin, opts)
			if err := st.Add(ctx, pin); err != nil {
				return err
			}
		}
	})
}

// with calls f with the pinset. Nothing uses the datastore when with returns.
func (s *crdtState) with(f func(context.Context, *dsstate.BatchingState) error) (err error) {
	store, closeStore, err := openCRDT(s.cfg)
	if err != nil {
		return err
	}
	defer func() { err = multierr.Append(err, closeStore()) }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	st, err := dsstate.NewBatching(ctx, store.dag, "", dsstate.DefaultHandle())
	if err != nil {
		return err
	}
	return f(ctx, st)
}
