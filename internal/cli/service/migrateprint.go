package service

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// planned shows a plan, and returns the error of the command.
func (o *migrationOutput) planned(p *planResult, reportPath string) error {
	o.printPlan(p)
	failed := o.result("plan", reportPath, p)
	switch {
	case p.Refused != "":
		return differs(failed, "planning the migration: a run would be refused: %s", p.Refused)
	case p.Bad+p.TooLarge > 0:
		return differs(failed, "planning the migration: %s", leftOut(p.Bad, p.TooLarge))
	}
	return failed
}

// ran shows the report of a run that has ended with err, and returns the error of
// the command.
func (o *migrationOutput) ran(r *migrate.Report, reportPath string, err error) error {
	o.printReport(r)
	failed := o.result("report", reportPath, r)
	switch {
	case err != nil:
		return multierr.Append(err, failed)
	case r.Bad+r.TooLarge > 0:
		return differs(failed, "migrating: %s: they are missing in the database", leftOut(r.Bad, r.TooLarge))
	}
	return failed
}

// leftOut says what of the source a run does not copy.
func leftOut(bad, tooLarge int64) string {
	var parts []string
	if bad > 0 {
		parts = append(parts, fmt.Sprintf("%d records of the source cannot be read", bad))
	}
	if tooLarge > 0 {
		parts = append(parts, fmt.Sprintf("%d pins of the source are too large", tooLarge))
	}
	return strings.Join(parts, " and ")
}

// compared shows a comparison.
func (o *migrationOutput) compared(found *migrate.Comparison, reportPath string) error {
	o.printComparison(found)
	return o.result("comparison", reportPath, found)
}

// differs is the error of a command that did its work and found that something is
// not as it should be. When it has failed to tell that as well, it has failed: the
// exit code is 1 then.
func differs(failed error, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if failed != nil {
		return multierr.Append(errors.New(text), failed)
	}
	return cli.NewExitError(text, exitDiffers)
}

// planResult is a plan that also says which of its peers the database knows.
type planResult struct {
	*migrate.Plan
	Peers []planPeer `json:"peers"` // instead of those of the plan
}

// planPeer is a peer of a plan. Known says that it has run on the database, under
// its new name if it gets one, and Name how it called itself.
type planPeer struct {
	migrate.PlanPeer
	Known bool   `json:"known"`
	Name  string `json:"name,omitempty"`
}

func newPlanResult(p *migrate.Plan, members []state.Member) *planResult {
	names := make(map[peer.ID]string, len(members))
	for _, m := range members {
		names[m.ID] = m.Name
	}
	peers := make([]planPeer, len(p.Peers))
	for i, one := range p.Peers {
		id := one.ID
		if one.Mapped != "" {
			id = one.Mapped
		}
		name, known := names[id]
		peers[i] = planPeer{PlanPeer: one, Known: known, Name: name}
	}
	return &planResult{Plan: p, Peers: peers}
}

func (o *migrationOutput) printPlan(p *planResult) {
	o.printf("source    %s\n", p.Source)
	o.printf("records   %d, of which %d are pins (%d bytes), %d cannot be read and %d are too large\n", p.Records, p.Pins, p.Bytes, p.Bad, p.TooLarge)
	if !p.Change.Zero() {
		o.printf("changes   %s, in %d pins\n", p.Change, p.Changed)
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(p.Types)) {
		lines = append(lines, fmt.Sprintf("%12d  of type %s", p.Types[name], name))
	}
	for _, r := range p.Replication {
		lines = append(lines, fmt.Sprintf("%12d  with replication factors %d to %d", r.Pins, r.Min, r.Max))
	}
	lines = append(lines,
		fmt.Sprintf("%12d  on every peer", p.Everywhere),
		fmt.Sprintf("%12d  on no peer", p.Unallocated),
		fmt.Sprintf("%12d  with an expiry, %d of them in the past", p.Expiring, p.Expired))
	o.printLines("pins", lines)
	lines = nil
	strangers := false
	for _, one := range p.Peers {
		text := fmt.Sprintf("%12d  %s", one.Pins, one.ID)
		if one.Mapped != "" {
			text += " becomes " + one.Mapped.String()
		}
		if one.Known {
			text += fmt.Sprintf(" (known as %q)", one.Name)
		} else {
			text += " (has not run on this database yet)"
			strangers = true
		}
		lines = append(lines, text)
	}
	o.printLines("allocations", lines)
	if strangers {
		o.printf("  A peer that has not run yet takes up its pins when it starts. It must have its old identity.json;\n" +
			"  otherwise name its new peer ID with --peer-map.\n")
	}
	o.printBad(p.BadRecords, p.Bad)
	o.printLarge(p.TooLargePins, p.TooLarge, p.MaxPinBytes)
	o.printf("database  %d pins of an earlier run of this migration, %d others\n", p.Own, p.Others)
	o.printLive(state.Live{Since: p.LiveSince, By: p.LiveBy})
	switch {
	case p.Refused != "":
		o.printf("run       would be refused: %s\n", p.Refused)
	case p.Resumes:
		o.printf("run       number %d would go on after record %d: %s, as %s\n", p.Run, p.ResumesFrom, p.Path, p.Reason)
	default:
		o.printf("run       number %d would begin: %s, as %s\n", p.Run, p.Path, p.Reason)
	}
}

func (o *migrationOutput) printReport(r *migrate.Report) {
	what := "copied"
	switch {
	case r.DryRun:
		what = "would be copied"
	case !r.Complete:
		what = "copied so far"
	}
	o.printf("%d of %d records read, %d pins %s, %d cannot be read\n", r.Records, max(r.Total, r.Records), r.Copied, what, r.Bad)
	if r.Kept > 0 {
		o.printf("%d pins were there already\n", r.Kept)
	}
	if r.Different > 0 {
		o.printf("%d pins of the source differ from those in the database and were left (see --existing; verify names them)\n", r.Different)
	}
	if r.Replaced > 0 {
		o.printf("%d other pins were replaced\n", r.Replaced)
	}
	if r.Removed > 0 {
		o.printf("%d pins were removed that the source does not have any more\n", r.Removed)
	}
	if r.Duplicates > 0 {
		o.printf("%d records gave way to a later one of the same CID\n", r.Duplicates)
	}
	written := pathOf(r.Bulk)
	if r.DryRun {
		written = "would be " + written
	}
	o.printf("%.0f seconds, %.0f pins a second, %s\n", r.Seconds, r.PinsPerSecond, written)
	o.printBad(r.BadRecords, r.Bad)
	o.printLarge(r.TooLargePins, r.TooLarge, r.MaxPinBytes)
	o.printLines("notes", r.Notes)
}

func (o *migrationOutput) printComparison(c *migrate.Comparison) {
	o.printf("source    %s: %d pins\n", c.Source, c.Pins-c.Duplicates)
	o.printf("database  %d pins\n", c.Target)
	for _, kind := range []struct {
		n     int64
		what  string
		found []migrate.Difference
	}{
		{c.Missing, "missing in the database", c.MissingPins},
		{c.Extra, "only in the database", c.ExtraPins},
		{c.Different, fmt.Sprintf("different, %d of them newer in the database", c.Newer), c.DifferentPins},
		{c.EncodedDifferently, "the same in another encoding, which is no difference", c.EncodedDifferentlyPins},
	} {
		var lines []string
		for _, d := range kind.found {
			lines = append(lines, d.Cid)
		}
		if kind.n > 0 {
			o.printLines(fmt.Sprintf("%d pins are %s%s", kind.n, kind.what, first(int64(len(lines)), kind.n)), lines)
		}
	}
	if c.NotExamined > 0 {
		o.printf("%d pins lie where both sides differ and were not looked at one by one\n", c.NotExamined)
	}
	o.printBad(c.BadRecords, c.Bad)
	o.printLarge(c.TooLargePins, c.TooLarge, c.MaxPinBytes)
	o.printRecords("rows of the database cannot be read", c.CorruptTargetRows, c.CorruptTarget)
	o.printLines("notes", c.Notes)
	if c.Equal() {
		o.printf("both sides are the same\n")
	}
	o.printf("%.0f seconds\n", c.Seconds)
}

func (o *migrationOutput) printBad(bad []migrate.BadRecord, n int64) {
	o.printRecords("records of the source cannot be read", bad, n)
}

// printLarge lists the pins of the source that are larger than the bound.
func (o *migrationOutput) printLarge(large []migrate.LargePin, n int64, bound int) {
	lines := make([]string, len(large))
	for i, pin := range large {
		lines[i] = fmt.Sprintf("%s: %d bytes", pin.Cid, pin.Bytes)
	}
	o.printLines(fmt.Sprintf("%d pins of the source are larger than the %d bytes that can be stored%s", n, bound, first(int64(len(large)), n)), lines)
}

func (o *migrationOutput) printRecords(what string, bad []migrate.BadRecord, n int64) {
	lines := make([]string, len(bad))
	for i, b := range bad {
		lines[i] = b.At + ": " + b.Error
	}
	o.printLines(fmt.Sprintf("%d %s%s", n, what, first(int64(len(bad)), n)), lines)
}

// printLines writes lines under a heading, if there are any.
func (o *migrationOutput) printLines(heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	o.printf("%s\n", heading)
	for _, line := range lines {
		o.printf("  %s\n", line)
	}
}

// first says that a list is not whole.
func first(listed, all int64) string {
	if listed == all {
		return ""
	}
	return fmt.Sprintf(", the first %d", listed)
}

// migrationStatus is one migration for machines.
type migrationStatus struct {
	Source  string    `json:"source"`
	Run     int64     `json:"run"`
	Phase   string    `json:"phase"`
	Bulk    bool      `json:"bulk"`
	Change  string    `json:"change"`
	Records int64     `json:"records"`
	Copied  int64     `json:"copied"`
	Kept    int64     `json:"kept"`
	Bad     int64     `json:"bad"`
	Removed int64     `json:"removed"`
	Started time.Time `json:"started"`
	Updated time.Time `json:"updated"`
	// Report is null when what is stored is none.
	Report *migrate.Report `json:"report"`
}

// liveStatus says for machines whether the database is in use.
type liveStatus struct {
	Live  bool      `json:"live"`
	Since time.Time `json:"since,omitzero"`
	By    string    `json:"by,omitempty"`
}

func statusOf(m state.Migration) migrationStatus {
	report, _ := migrate.StoredReport(m)
	return migrationStatus{
		Source: m.ID, Run: m.Run, Phase: string(m.Phase), Bulk: m.Bulk, Change: m.Options, Records: m.Read, Copied: m.Copied,
		Kept: m.Kept, Bad: m.Bad, Removed: m.Removed, Started: m.Started, Updated: m.Updated, Report: report,
	}
}

func (o *migrationOutput) printStatus(m state.Migration, now time.Time) {
	o.printf("%s\n", m.ID)
	o.printf("  run %d, %s, %s, begun %s, stored last %s (%s ago)\n", m.Run, m.Phase, pathOf(m.Bulk),
		m.Started.UTC().Format(time.RFC3339), m.Updated.UTC().Format(time.RFC3339), now.Sub(m.Updated).Round(time.Second))
	total := ""
	report, err := migrate.StoredReport(m)
	if err == nil && report.Total > 0 {
		total = fmt.Sprintf(" of %d (%d %%)", report.Total, m.Read*100/report.Total)
	}
	o.printf("  %d%s records read, %d copied, %d kept, %d cannot be read, %d removed\n", m.Read, total, m.Copied, m.Kept, m.Bad, m.Removed)
	if err == nil {
		o.printBad(report.BadRecords, report.Bad)
		o.printLarge(report.TooLargePins, report.TooLarge, report.MaxPinBytes)
		o.printLines("  notes", report.Notes)
	}
}

func (o *migrationOutput) printLive(live state.Live) {
	switch {
	case !live.Yes():
		o.printf("database  not in use yet: a run may write in bulk\n")
	case live.Since.IsZero():
		o.printf("database  in use: %s\n", live.By)
	default:
		o.printf("database  in use since %s, by %s\n", live.Since.UTC().Format(time.RFC3339), live.By)
	}
}

func pathOf(bulk bool) string {
	if bulk {
		return "written in bulk"
	}
	return "written with conditions"
}
