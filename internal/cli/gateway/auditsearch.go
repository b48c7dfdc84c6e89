package gateway

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
)

// queryFlags are those that say which events are wanted.
func queryFlags(folder, table cli.Flag) []cli.Flag {
	return []cli.Flag{
		folder,
		table,
		cli.StringFlag{Name: "since", Usage: "from a `TIME` on, or so long ago"},
		cli.StringFlag{Name: "until", Usage: "before a `TIME`, or so long ago"},
		cli.StringFlag{Name: "id", Usage: "the event with this `ID`"},
		cli.StringFlag{Name: "tenant", Usage: "by principals of this `TENANT`, or on what belongs to it"},
		cli.StringFlag{Name: "principal", Usage: "by the principal with this `ID`"},
		cli.StringFlag{Name: "action", Usage: "of this `ACTION`, as pins:delete"},
		cli.StringFlag{Name: "object", Usage: "on the object with this id or `CID`"},
		cli.StringFlag{Name: "ip", Usage: "from this `ADDRESS`"},
		cli.StringFlag{Name: "verdict", Usage: "success, failure, denied or unknown"},
	}
}

// query reads the flags of queryFlags.
func query(c *cli.Context, limit int) (audit.Query, error) {
	q := audit.Query{
		ID: c.String("id"), Tenant: c.String("tenant"), Principal: c.String("principal"), Action: c.String("action"),
		Object: c.String("object"), IP: c.String("ip"), Verdict: audit.Verdict(c.String("verdict")), Limit: limit,
	}
	if limit < 1 {
		return q, errors.New("reading --limit: it is not positive")
	}
	if q.Verdict != "" && !slices.Contains([]audit.Verdict{audit.Success, audit.Failure, audit.Denied, audit.Unknown}, q.Verdict) {
		return q, fmt.Errorf("reading --verdict: %q is none: use success, failure, denied or unknown", q.Verdict)
	}
	var err error
	if q.From, err = cmdline.TimeOrAge("since", c.String("since")); err != nil {
		return q, err
	}
	q.To, err = cmdline.TimeOrAge("until", c.String("until"))
	return q, err
}

// search calls show with what the flags want, and fails afterwards if lines could not be read.
func (cmd *command) search(c *cli.Context, limit int, show func([]audit.Found) error) error {
	if err := cmdline.NoArguments(c); err != nil {
		return err
	}
	q, err := query(c, limit)
	if err != nil {
		return err
	}
	records, err := cmd.auditRecords(c)
	if err != nil {
		return err
	}
	defer records.close()
	found, unread, err := audit.SearchParts(records.parts, q)
	if err != nil {
		return fmt.Errorf("searching the audit records: %w", err)
	}
	if err := show(found); err != nil {
		return cmdline.Written(err)
	}
	if unread > 0 {
		return fmt.Errorf("searching the audit records: lines that could not be read: %d, see \"pin-gateway audit verify\"", unread)
	}
	return nil
}

func (cmd *command) auditSearch(c *cli.Context) error {
	return cmd.search(c, c.Int("limit"), func(found []audit.Found) error {
		if c.Bool("json") {
			return audit.Export(cmd.stdout, found, audit.JSON)
		}
		for _, f := range found {
			if _, err := fmt.Fprintln(cmd.stdout, foundText(f)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (cmd *command) auditExport(c *cli.Context) error {
	format := audit.Format(c.String("format"))
	if format != audit.JSON && format != audit.OCSF {
		return fmt.Errorf("reading --format: %q is none: use %s or %s", format, audit.JSON, audit.OCSF)
	}
	return cmd.search(c, math.MaxInt/4, func(found []audit.Found) error {
		return audit.Export(cmd.stdout, found, format)
	})
}

// foundText is an event in one line. Clients have written some of it.
func foundText(f audit.Found) string {
	words := []string{cmdline.Plain(f.Time), cmdline.Plain(string(f.Result.Verdict))}
	named := func(name, value string) {
		if value != "" {
			words = append(words, name+"="+cmdline.Plain(value))
		}
	}
	if f.Attempts != nil {
		a := f.Attempts
		words = append(words, fmt.Sprintf("%d failed attempts", a.Count))
		named("network", a.Network)
		named("method", a.Method)
		named("reason", a.Reason)
		named("credential", a.Credential)
		named("since", a.Since)
	}
	if e := f.Event; e != nil {
		words = append(words, cmdline.Plain(e.Action))
		named("tenant", e.Actor.Tenant)
		named("principal", e.Actor.Principal)
		if e.Resource.Tenant != e.Actor.Tenant {
			named("of-tenant", e.Resource.Tenant)
		}
		id := e.Resource.ID
		if id == "" {
			id = f.Result.ResourceID
		}
		named("object", id)
		named("cid", e.Resource.CID)
		named("reason", f.Result.Reason)
		if !e.Decision.Allowed {
			named("decision", e.Decision.Reason)
		}
		named("ip", e.Actor.IP)
	}
	named("id", f.ID)
	return strings.Join(words, " ")
}
