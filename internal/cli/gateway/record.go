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
// what came of it after, if the configuration has a folder for records: otherwise nothing is
// recorded. do is given who acts, and returns the id of what it made, if it made something.
func (cmd *command) change(keys bool, action string, resource audit.Resource, do func(ctx context.Context, s *accounts.Service, by string) (made string, err error)) error {
	by, err := operator()
	if err != nil {
		return err
	}
	return cmd.withAccounts(keys, func(ctx context.Context, s *accounts.Service, cfg config.Config) (err error) {
		if cfg.Audit.Folder == "" {
			_, err := do(ctx, s, by)
			return err
		}
		file, err := openRecords(ctx, cfg)
		if err != nil {
			return fmt.Errorf("recording what is to be done: %w", err)
		}
		defer func() { err = errors.Join(err, during(file.Close(), "recording what was done")) }()
		recorder, err := audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{file}})
		if err != nil {
			return err
		}
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

// openRecords opens the folder of the configuration for the records of a command.
func openRecords(ctx context.Context, cfg config.Config) (*audit.File, error) {
	files, err := cfg.Read()
	if err != nil {
		return nil, err
	}
	writer, err := cfg.AuditWriter()
	if err != nil {
		return nil, err
	}
	writer = writer[:min(len(writer), 64-len(commandWriter))] + commandWriter
	ctx, cancel := context.WithTimeout(ctx, recordWait)
	defer cancel()
	for {
		file, err := audit.OpenFile(audit.FileOptions{Dir: cfg.Resolve(cfg.Audit.Folder), Writer: writer, Key: files.AuditKey})
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return file, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(recordPoll):
		}
	}
}
