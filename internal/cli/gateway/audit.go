package gateway

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
)

func (cmd *command) auditCommand() cli.Command {
	folder := cli.StringFlag{Name: "folder", Usage: "the `FOLDER` with the records, in place of the one of the configuration"}
	return cli.Command{
		Name:         "audit",
		Usage:        "verifies, searches and exports audit records",
		OnUsageError: usageError,
		Description: `
   These commands read the files of records, of this instance or copied from
   others, also while a gateway writes them. They believe what is in them: run
   "audit verify" to know whether they are as they were written.
`,
		Subcommands: []cli.Command{
			{
				Name: "verify", Usage: "looks whether records were changed, removed or added", ArgsUsage: " ", OnUsageError: usageError,
				Description: `
   Compares the records with their hashes and the signed checkpoints among
   them, and names what is not as it was written. The exit code is then 1.

   Whoever can write the files can also remove the newest records, or all of
   one writer. That is found with copies of checkpoints that were kept
   elsewhere: --checkpoints.
`,
				Flags: []cli.Flag{
					folder,
					cli.StringSliceFlag{Name: "key", Usage: "a `FILE` with a key whose checkpoints count, its public half being enough, in place of the one of the configuration; several are possible"},
					cli.StringFlag{Name: "checkpoints", Usage: "a `FILE` with copies of checkpoints, as JSON objects one a line"},
					cli.BoolFlag{Name: "archived", Usage: "older files were moved away: what is left begins with a checkpoint"},
					cli.Int64Flag{Name: "every", Usage: "how many records there may be without a checkpoint; 0 is any number"},
					cli.BoolFlag{Name: "json", Usage: "as a JSON object"},
				},
				Action: cmd.auditVerify,
			},
			{
				Name: "search", Usage: "shows events with what came of them, the oldest first", ArgsUsage: " ", OnUsageError: usageError,
				Description: `
   What was begun and has no outcome is "unknown": the process was killed, or
   is still at it.

   Examples:
     audit search --since 24h --verdict denied
     audit search --tenant acme --action pins:delete --object bafy...
`,
				Flags: append(queryFlags(folder),
					cli.IntFlag{Name: "limit", Value: 1000, Usage: "how many, the newest"},
					cli.BoolFlag{Name: "json", Usage: "one JSON object a line, with all that is known"}),
				Action: cmd.auditSearch,
			},
			{
				Name: "export", Usage: "writes all events for other programs, one a line", ArgsUsage: " ", OnUsageError: usageError,
				Description: `
   All events that match are in memory at once: take months one by one, with
   --since and --until.
`,
				Flags: append(queryFlags(folder),
					cli.StringFlag{Name: "format", Value: string(audit.JSON), Usage: "json, or ocsf for the Open Cybersecurity Schema Framework"}),
				Action: cmd.auditExport,
			},
		},
		Action: groupAction,
	}
}

// auditFolder reads --folder, and without it the configuration.
func (cmd *command) auditFolder(c *cli.Context) (string, error) {
	if folder := c.String("folder"); folder != "" {
		return folder, nil
	}
	cfg, err := cmd.loadConfig()
	if err != nil {
		return "", fmt.Errorf("%w; or use --folder", err)
	}
	if cfg.Audit.Folder == "" {
		return "", fmt.Errorf("%s has no audit.folder: use --folder", cmd.configPath)
	}
	return cfg.Resolve(cfg.Audit.Folder), nil
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

// readCheckpoints reads JSON objects, one a line.
func readCheckpoints(name string) ([]audit.Checkpoint, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading --checkpoints: %w", err)
	}
	defer f.Close()
	var all []audit.Checkpoint
	scanner := bufio.NewScanner(f)
	for number := 1; scanner.Scan(); number++ {
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		var c audit.Checkpoint
		if err := json.Unmarshal(scanner.Bytes(), &c); err != nil || c.Writer == "" {
			return nil, fmt.Errorf("reading --checkpoints: line %d of %s is not a checkpoint", number, name)
		}
		all = append(all, c)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("reading --checkpoints: %w", err)
	}
	return all, nil
}

func (cmd *command) auditVerify(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	folder, err := cmd.auditFolder(c)
	if err != nil {
		return err
	}
	keys, err := cmd.auditKeys(c)
	if err != nil {
		return err
	}
	known, err := readCheckpoints(c.String("checkpoints"))
	if err != nil {
		return err
	}
	report, err := audit.Verify(folder, audit.VerifyOptions{Keys: keys, Known: known, Archived: c.Bool("archived"), Every: c.Int64("every")})
	if err != nil {
		return fmt.Errorf("verifying the audit records: %w", err)
	}
	if c.Bool("json") {
		err = cmd.printJSON(report)
	} else {
		err = written(cmd.printReport(report, len(known) > 0))
	}
	switch {
	case err != nil:
		return err
	case len(report.Problems) > 0:
		return fmt.Errorf("verifying the audit records: they are not as they were written, problems above: %d", len(report.Problems))
	case len(report.Writers) == 0:
		return fmt.Errorf("verifying the audit records: there are none in %s", folder)
	}
	return nil
}

// printReport writes a line for each writer, then one for each problem.
func (cmd *command) printReport(r audit.Report, copies bool) error {
	if len(r.Writers) > 0 {
		w := tabwriter.NewWriter(cmd.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "WRITER\tFILES\tRECORDS\tSEALED UP TO\tSTARTS\tLOST TO CRASHES\tLAST LINE")
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
		fmt.Fprintln(cmd.stderr, "without --checkpoints it is not noticed if the newest records, or all of a writer, were removed")
	}
	return nil
}
