package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audittable"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Records are where a configuration has audit records kept: files, a table, or both, each
// with copies of the checkpoints of the other.
type Records struct {
	// Sinks keep them, and Names are what the sinks are: "file" or "table".
	Sinks []audit.Sink
	Names []string

	closers []func() error // the last one first
}

// OpenRecords opens what a configuration names, under the name of a writer that no other
// process has. A checkpoint that cannot be written or copied is told to failed. An error that
// wraps syscall.EWOULDBLOCK says that another process writes the files of that writer now; of
// the table, that is waited for some seconds.
func OpenRecords(ctx context.Context, db *scylla.DB, conf config.Config, files config.Files, writer string, failed func(error)) (_ *Records, err error) {
	r := new(Records)
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	folder, retention := conf.Resolve(conf.Audit.Folder), time.Duration(conf.Audit.TableRetention)
	var tableCopies []audit.CheckpointCopy
	if folder != "" {
		options := audit.FileOptions{Dir: folder, Writer: writer, Key: files.AuditKey, CheckpointFailed: failed}
		if conf.Audit.Table {
			inTable, err := audittable.NewCheckpoints(db, retention)
			if err != nil {
				return nil, err
			}
			options.Copies = append(options.Copies, inTable)
			inFolder, err := audit.OpenFileCopy(audit.TableCopy(folder, writer))
			if err != nil {
				return nil, fmt.Errorf("opening the copies of checkpoints: %w", err)
			}
			r.closers = append(r.closers, inFolder.Close)
			tableCopies = append(tableCopies, inFolder)
		}
		file, err := audit.OpenFile(options)
		if err != nil {
			return nil, fmt.Errorf("opening the audit log: %w", err)
		}
		r.add("file", file, file.Close)
	}
	if conf.Audit.Table {
		table, err := audittable.Open(ctx, db, audittable.Options{
			Chain:       audit.ChainOptions{Writer: writer, Key: files.AuditKey, Copies: tableCopies, CheckpointFailed: failed},
			Retention:   retention,
			LeaseFailed: func(err error) { logger.Errorf("the name of this writer of audit records is not held: %s", err) },
		})
		if err != nil {
			return nil, fmt.Errorf("opening the table of audit records: %w", err)
		}
		r.add("table", table, table.Close)
	}
	return r, nil
}

func (r *Records) add(name string, sink audit.Sink, end func() error) {
	r.Sinks, r.Names, r.closers = append(r.Sinks, sink), append(r.Names, name), append(r.closers, end)
}

// Close ends what was opened. What is being recorded may be lost: wait for the recorder.
func (r *Records) Close() error {
	var problems []error
	for i := len(r.closers) - 1; i >= 0; i-- {
		problems = append(problems, r.closers[i]())
	}
	r.closers = nil
	return errors.Join(problems...)
}
