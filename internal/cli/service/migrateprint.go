package service

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func (o *migrationOutput) printPlan(p *migrate.Plan, known map[string]state.Member) {
	o.printf("source    %s\n", p.Source)
	o.printf("records   %d, of which %d are pins (%d bytes) and %d cannot be read\n", p.Records, p.Pins, p.Bytes, p.Bad)
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
	for _, peer := range p.Peers {
		id := peer.ID
		text := fmt.Sprintf("%12d  %s", peer.Pins, id)
		if peer.Mapped != "" {
			id = peer.Mapped
			text += " becomes " + id.String()
		}
		if member, there := known[id.String()]; there {
			text += fmt.Sprintf(" (known as %q)", member.Name)
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
	o.printLines("warnings", p.Warnings)
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
	if r.Replaced > 0 {
		o.printf("%d other pins were replaced\n", r.Replaced)
	}
	if r.Removed > 0 {
		o.printf("%d pins were removed that the source does not have any more\n", r.Removed)
	}
	if r.Duplicates > 0 {
		o.printf("%d records gave way to a later one of the same CID\n", r.Duplicates)
	}
	o.printf("%.0f seconds, %.0f pins a second, %s\n", r.Seconds, r.PinsPerSecond, pathOf(r.Bulk))
	o.printBad(r.BadRecords, r.Bad)
	o.printLines("notes", r.Notes)
	o.printLines("warnings", r.Warnings)
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
	o.printRecords("rows of the database cannot be read", c.CorruptTargetRows, c.CorruptTarget)
	o.printLines("notes", c.Notes)
	o.printLines("warnings", c.Warnings)
	if c.Equal() {
		o.printf("both sides are the same\n")
	}
	o.printf("%.0f seconds\n", c.Seconds)
}

func (o *migrationOutput) printBad(bad []migrate.BadRecord, n int64) {
	o.printRecords("records of the source cannot be read", bad, n)
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
