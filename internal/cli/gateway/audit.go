package gateway

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
)

func (cmd *command) auditCommand() cli.Command {
	table := cli.BoolFlag{Name: "table", Usage: "the records in the database, of all instances, in place of those in files"}
	folder := cli.StringFlag{Name: "folder", Usage: "the `FOLDER` with the records, in place of the one of the configuration"}
	return cli.Command{
		Name:         "audit",
		Usage:        "verifies, searches and exports audit records",
		OnUsageError: cmdline.UsageError,
		Description: `
   These commands read the files of records, of this instance or copied from
   others, also while a gateway writes them. They believe what is in them: run
   "audit verify" to know whether they are as they were written. With --table
   they read the table of the database that the configuration names, all of it.
`,
		Subcommands: []cli.Command{
			{
				Name: "verify", Usage: "looks whether records were changed, removed or added", ArgsUsage: " ", OnUsageError: cmdline.UsageError,
				Description: `
   Compares the records with their hashes and the signed checkpoints among
   them, and names what is not as it was written. The exit code is then 1.

   Whoever can write the records can also remove the newest ones, or all of
   one writer. That is found with copies of checkpoints that were kept
   elsewhere: with --copies, those of files in the database, and those of the
   table in the folder; with --checkpoints, those of a file.
`,
				Flags: []cli.Flag{
					folder,
					table,
					cli.StringSliceFlag{Name: "key", Usage: "a `FILE` with a key whose checkpoints count, its public half being enough, in place of the one of the configuration; several are possible"},
					cli.BoolFlag{Name: "copies", Usage: "compares with the copies of checkpoints that the gateway keeps: of files in the database, of the table in the folder"},
					cli.StringFlag{Name: "checkpoints", Usage: "a `FILE` with copies of checkpoints, as JSON objects one a line"},
					cli.BoolFlag{Name: "archived", Usage: "older files were moved away: what is left begins with a checkpoint"},
					cli.Int64Flag{Name: "every", Usage: "how many records there may be without a checkpoint; 0 is any number"},
					cli.BoolFlag{Name: "json", Usage: "as a JSON object"},
				},
				Action: cmd.auditVerify,
			},
			{
				Name: "search", Usage: "shows events with what came of them, the oldest first", ArgsUsage: " ", OnUsageError: cmdline.UsageError,
				Description: `
   What was begun and has no outcome is "unknown": the process was killed, or
   is still at it.

   Examples:
     audit search --since 24h --verdict denied
     audit search --tenant acme --action pins:delete --object bafy...
`,
				Flags: append(queryFlags(folder, table),
					cli.IntFlag{Name: "limit", Value: 1000, Usage: "how many, the newest"},
					cli.BoolFlag{Name: "json", Usage: "one JSON object a line, with all that is known"}),
				Action: cmd.auditSearch,
			},
			{
				Name: "export", Usage: "writes all events for other programs, one a line", ArgsUsage: " ", OnUsageError: cmdline.UsageError,
				Description: `
   All events that match are in memory at once: take months one by one, with
   --since and --until.
`,
				Flags: append(queryFlags(folder, table),
					cli.StringFlag{Name: "format", Value: string(audit.JSON), Usage: "json, or ocsf for the Open Cybersecurity Schema Framework"}),
				Action: cmd.auditExport,
			},
		},
		Action: cmdline.GroupAction,
	}
}

// auditKeys reads the files of --key, and without them that of the configuration.
func (cmd *command) auditKeys(c *cli.Context) ([]ed25519.PublicKey, error) {
	names := c.StringSlice("key")
	if len(names) == 0 {
		cfg, err := cmd.loadConfig()
		if err != nil {
			return nil, fmt.Errorf("%w; or use --key", err)
		}
		names = []string{cfg.Resolve(cfg.Audit.KeyFile)}
	}
	var keys []ed25519.PublicKey
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading a key: %w", err)
		}
		key, err := parsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("reading a key: %s %w", name, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// parsePublicKey reads a key of Ed25519 in PEM format, or the public half of a private one.
func parsePublicKey(text []byte) (ed25519.PublicKey, error) {
	block, rest := pem.Decode(text)
	var key any
	err := errors.New("nothing in PEM format")
	if block != nil && len(bytes.TrimSpace(rest)) == 0 {
		switch block.Type {
		case "PUBLIC KEY":
			key, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
			if private, ok := key.(ed25519.PrivateKey); ok {
				key = private.Public()
			}
		}
	}
	if public, ok := key.(ed25519.PublicKey); ok && err == nil {
		return public, nil
	}
	return nil, errors.New("is not a key of Ed25519 in PEM format")
}

func (cmd *command) auditVerify(c *cli.Context) error {
	if err := cmdline.NoArguments(c); err != nil {
		return err
	}
	keys, err := cmd.auditKeys(c)
	if err != nil {
		return err
	}
	o := audit.VerifyOptions{Keys: keys, Archived: c.Bool("archived"), Every: c.Int64("every")}
	if name := c.String("checkpoints"); name != "" {
		if o.Known, err = audit.ReadCheckpoints(name); err != nil {
			return fmt.Errorf("reading --checkpoints: %w", err)
		}
	}
	var copies []audit.Checkpoint // read before the records, to which some may be added meanwhile
	if c.Bool("copies") {
		if copies, err = cmd.auditCopies(c); err != nil {
			return err
		}
	}
	records, err := cmd.auditRecords(c)
	if err != nil {
		return err
	}
	defer records.close()
	o.Expired = records.expired
	if copies, err = cmd.copiesOf(c, copies, records.parts); err != nil {
		return err
	}
	o.Known = append(o.Known, copies...)
	report, err := audit.VerifyParts(records.parts, o)
	if err != nil {
		return fmt.Errorf("verifying the audit records: %w", err)
	}
	if c.Bool("json") {
		err = cmdline.PrintJSON(cmd.stdout, report)
	} else {
		err = cmdline.Written(cmd.printReport(report, records.pieces, len(o.Known) > 0))
	}
	switch {
	case err != nil:
		return err
	case len(report.Problems) > 0:
		return fmt.Errorf("verifying the audit records: they are not as they were written, problems above: %d", len(report.Problems))
	case len(report.Writers) == 0:
		return fmt.Errorf("verifying the audit records: there are none in %s", records.where)
	}
	return nil
}

// printReport writes a line for each writer, then one for each problem.
func (cmd *command) printReport(r audit.Report, pieces string, copies bool) error {
	if len(r.Writers) > 0 {
		w := tabwriter.NewWriter(cmd.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "WRITER\t"+pieces+"\tRECORDS\tSEALED UP TO\tSTARTS\tLOST TO CRASHES\tLAST LINE")
		for _, writer := range r.Writers {
			last := "complete"
			if writer.Torn {
				last = "not complete"
			}
			fmt.Fprintf(w, "%s\t%d\t%d to %d\t%d\t%d\t%d\t%s\n", writer.Writer, writer.Files, writer.First, writer.Last, writer.Sealed, writer.Starts, writer.Dropped, last)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	for _, problem := range r.Problems {
		if _, err := fmt.Fprintln(cmd.stdout, problem); err != nil {
			return err
		}
	}
	if !copies && len(r.Writers) > 0 {
		fmt.Fprintln(cmd.stderr, "without --copies or --checkpoints it is not noticed if the newest records, or all of a writer, were removed")
	}
	return nil
}
