package gateway

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/gateway"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// commandWriter ends the name of the writer of a command's records: the gateway of this
	// machine may be writing its own.
	commandWriter = "-cli"
	// recordWait is how long a command waits for another one that writes records.
	recordWait = 10 * time.Second
	recordPoll = 20 * time.Millisecond
)

// change is withAccounts for what changes something. It is on record before it is done, and
// what came of it after, wherever the configuration has records kept. do is given who acts,
// and returns the id of what it made, if it made something.
func (cmd *command) change(keys bool, action string, resource audit.Resource, do func(ctx context.Context, s *accounts.Service, by string) (made string, err error)) error {
	by, err := operator()
	if err != nil {
		return err
	}
	return cmd.withAccounts(keys, func(ctx context.Context, s *accounts.Service, db *scylla.DB, cfg config.Config) (err error) {
		records, err := openRecords(ctx, db, cfg)
		if err != nil {
			return fmt.Errorf("recording what is to be done: %w", err)
		}
		defer func() { err = errors.Join(err, during(records.Close(), "recording what was done")) }()
		recorder, err := audit.NewRecorder(audit.RecorderOptions{Sinks: records.Sinks, SinkFailed: func(sink int, err error) {
			logger.Errorf("the audit record is not in the %s: %s", records.Names[sink], err)
		}})
		if err != nil {
			return err
		}
		defer recorder.Wait()
		return onRecord(ctx, recorder, audit.Event{
			Actor: audit.Actor{Principal: by, Method: "cli"}, Action: action, Resource: resource,
			Decision: audit.Decision{Allowed: true, Reason: "who has the configuration of the gateway on its host is not asked"},
		}, func() (string, error) { return do(ctx, s, by) })
	})
}

// onRecord does something between the records of its intent and its outcome.
func onRecord(ctx context.Context, recorder *audit.Recorder, event audit.Event, do func() (made string, err error)) error {
	pending, err := recorder.Begin(ctx, event)
	if err != nil {
		return fmt.Errorf("recording what is to be done: %w", err)
	}
	result := audit.Result{Verdict: audit.Success}
	made, err := do()
	result.ResourceID = made
	if err != nil {
		result.Verdict = audit.Failure
	}
	failed := pending.End(context.WithoutCancel(ctx), result)
	if err == nil && failed != nil {
		return fmt.Errorf("recording what was done, and it was done: %w", failed)
	}
	return err
}

// openRecords opens where the configuration has records kept, for those of a command.
func openRecords(ctx context.Context, db *scylla.DB, cfg config.Config) (*gateway.Records, error) {
	files, err := cfg.Read()
	if err != nil {
		return nil, err
	}
	writer, err := cfg.AuditWriter()
	if err != nil {
		return nil, err
	}
	writer = writer[:min(len(writer), 64-len(commandWriter))] + commandWriter
	limited, cancel := context.WithTimeout(ctx, recordWait)
	defer cancel()
	failed := func(err error) {
		logger.Errorf("a checkpoint of the audit log could not be written or copied: %s", err)
	}
	for {
		records, err := gateway.OpenRecords(ctx, db, cfg, files, writer, failed)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return records, err
		}
		select {
		case <-limited.Done():
			return nil, err
		case <-time.After(recordPoll):
		}
	}
}
