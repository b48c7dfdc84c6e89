package invoicing

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that a test must find. The first one is planted in each run.
var mutants = []overlay.Mutant{
	{Name: "a number is taken before the draft says so", Test: "TestCrashWhileIssuing", Edits: []overlay.Edit{
		{File: "number.go", Old: `		if r.want != nil {
			whose, err := o.reserve(ctx, r.series, *r.want, at)`, New: `		if n, err := o.nextNumber(ctx, r.series); err != nil {
			return 0, time.Time{}, false, err
		} else if _, err := o.reserve(ctx, r.series, n, at); err != nil {
			return 0, time.Time{}, false, err
		} else if r.want == nil {
			r.want = &n
			if err := o.decide(ctx, scylla.Bind(updateWant, n, at.owner, at.period, at.rev, string(invoice.Draft), nil)); err != nil {
				return 0, time.Time{}, false, err
			}
		}
		if r.want != nil {
			whose, err := o.reserve(ctx, r.series, *r.want, at)`}}},
	{Name: "the last one who takes a number has it", Test: "TestIssueAtOnce", Edits: []overlay.Edit{
		{File: "statements.go", Old: `rev, taken) VALUES (?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"`, New: `rev, taken) VALUES (?, ?, ?, ?, ?, ?, ?)"`},
		{File: "office.go", Old: `	return scylla.Decide(ctx, o.db, statement)`, New: `	err := scylla.Decide(ctx, o.db, statement)
	if err != nil && strings.Contains(err.Error(), "applied") {
		err = o.db.WriteAll(ctx, []scylla.Statement{statement})
	}
	return err`},
		{File: "office.go", Old: `	"fmt"
`, New: `	"fmt"
	"strings"
`}}},
	{Name: "a document has the day on which it was stored", Test: "TestCrashWhileIssuing", Edits: []overlay.Edit{
		{File: "issue.go", Old: `invoice.DateOf(since))`, New: `invoice.DateOf(o.now().Add(0*o.now().Sub(since))))`}}},
	{Name: "an outcome that is not known is none", Test: "TestUnknownOutcome", Edits: []overlay.Edit{
		{File: "office.go", Old: `return scylla.Decide(ctx, o.db, statement)`, New: `_, _, err := o.db.CAS(ctx, statement)
	return err`}}},
	{Name: "the next number is tried though the outcome is not known", Test: "TestUnknownOutcome", Edits: []overlay.Edit{
		{File: "number.go", Old: `			if err != nil {
				return 0, time.Time{}, false, err
			}
			if whose.place == at {`, New: `			if err == nil && whose.place == at {`}}},
	{Name: "a number is left out", Test: "TestIssueAtOnce", Edits: []overlay.Edit{
		{File: "number.go", Old: `next = max(next, *r.want+1)`, New: `next = max(next, *r.want+2)`}}},
	{Name: "numbers begin again in each block", Test: "TestBlocks", Edits: []overlay.Edit{
		{File: "number.go", Old: `return max(1, block*blockNumbers), nil`, New: `return max(1, block*blockNumbers+1), nil`}}},
	{Name: "a plan is given to a month that was decided", Test: "TestDecided", Edits: []overlay.Edit{
		{File: "plans.go", Old: `periodOf(plan.MonthOf(a.From)) <= *decided`, New: `periodOf(plan.MonthOf(a.From)) < *decided`}}},
	{Name: "the past gets another version of a plan", Test: "TestPlans", Edits: []overlay.Edit{
		{File: "plans.go", Old: `p.Effective() <= plan.DayOf(o.now())`, New: `p.Effective() < plan.DayOf(o.now())`}}},
	{Name: "the text of a plan may be changed", Test: "TestPlans", Edits: []overlay.Edit{
		{File: "plans.go", Old: `p.Digest() != hex.EncodeToString(digest)`, New: `len(digest) == 0`}}},
	{Name: "an adjustment is charged twice", Test: "TestCorrections", Edits: []overlay.Edit{
		{File: "draft.go", Old: `return slices.CompactFunc(out, func(a, b Adjustment) bool { return a.ID == b.ID })`, New: `return out`}}},
	{Name: "a correction forgets those before it", Test: "TestCorrections", Edits: []overlay.Edit{
		{File: "draft.go", Old: `for at := month; at != charged; at = at.Next() {`, New: `for at := charged; at != charged; at = at.Next() {`}}},
	{Name: "an older state of a payment stays", Test: "TestPayments", Edits: []overlay.Edit{
		{File: "statements.go", Old: `IF version < ?"`, New: `IF version > ?"`}}},
	{Name: "who was overtaken takes it for done", Test: "TestPaymentOvertaken", Edits: []overlay.Edit{
		{File: "standing.go", Old: `	if err != nil || after.mark != mark {`, New: `	if err != nil {`}}},
	{Name: "a refund counts as a payment", Test: "TestPayments", Edits: []overlay.Edit{
		{File: "payments.go", Old: `return new(big.Int).Neg(amount), ""`, New: `return amount, ""`}}},
	{Name: "what a payment was of is not looked at", Test: "TestMovedPayment", Edits: []overlay.Edit{
		{File: "payments.go", Old: `	for _, number := range m.named {`, New: `	for _, number := range []string{m.number()} {`}}},
	{Name: "another currency counts", Test: "TestAssign", Edits: []overlay.Edit{
		{File: "payments.go", Old: `case m.Currency.Code != r.currency.Code() ||`, New: `case m.Currency.Code == "" ||`}}},
	{Name: "two operators assign one payment", Test: "TestAssign", Edits: []overlay.Edit{
		{File: "payments.go", Old: `		case m.assigned != "":
			return`, New: `		case m.assigned == number:
			return`}, {File: "payments.go", Old: `[]string{number}, rail, id, m.version, nil))`, New: `[]string{number}, rail, id, m.version, assignedOr(m.assigned)))`},
		{File: "payments.go", Old: `// counts tells whether`, New: `func assignedOr(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// counts tells whether`}}},
	{Name: "a request makes two credit notes", Test: "TestCreditAtOnce", Edits: []overlay.Edit{
		{File: "standing.go", Old: `					if note.request == request {
						return issued, nil
					}
`, New: ``}}},
	{Name: "an invoice is void while a note of it is made", Test: "TestVoidBeforeNote", Edits: []overlay.Edit{
		{File: "standing.go", Old: `	if stands.state == invoice.Void {`, New: `	if stands.state == invoice.Draft {`}}},
	{Name: "what is told is not looked at", Test: "TestTold", Edits: []overlay.Edit{
		{File: "outbox.go", Old: `		if r.state != invoice.Open {
			return drop, nil`, New: `		if r.state == invoice.Draft {
			return drop, nil`}}},
	{Name: "what was told is told again", Test: "TestWatch", Edits: []overlay.Edit{
		{File: "outbox.go", Old: `	return told, wrap(err, "looking whether`, New: `	told = false
	return told, wrap(err, "looking whether`}}},
	{Name: "a notice is noted as told before it is", Test: "TestTold", Edits: []overlay.Edit{
		{File: "relay.go", Old: `	if err := r.publisher.Publish(ctx, batch); err != nil {
		return fmt`, New: `	for _, id := range ids {
		if err := r.office.write(ctx, scylla.Bind(insertTold, id)); err != nil {
			return err
		}
	}
	if err := r.publisher.Publish(ctx, batch); err != nil {
		return fmt`}}},
	{Name: "it is told after it is done", Test: "TestCrashWhileTelling", Edits: []overlay.Edit{
		{File: "issue.go", Old: `	if err := o.announce(ctx, o.issuedEvents(r, d, hex.EncodeToString(digest))...); err != nil {
		return err
	}
	mark, err := newMark()`, New: `	defer func() {
		if r2, err := o.row(ctx, r.place); err == nil && !r2.draft() {
			_ = o.announce(ctx, o.issuedEvents(r, d, hex.EncodeToString(digest))...)
		}
	}()
	mark, err := newMark()`}}},
	{Name: "a run begins at its beginning", Test: "TestRun", Edits: []overlay.Edit{
		{File: "run.go", Old: `	if !p.Ended.IsZero() {
		p = Progress`, New: `	if p.Done > 0 {
		p = Progress`}}},
	{Name: "who was overtaken goes on", Test: "TestRunTaken", Edits: []overlay.Edit{
		{File: "run.go", Old: `now.mark != mark {`, New: `now.epoch == 0 {`}}},
}

// TestMutants plants one bug after the other in what makes invoices. The tests with them use the
// server of this one.
func TestMutants(t *testing.T) {
	cqltest.Start(t)
	overlay.Find(t, -1, mutants) // each builds the room and opens keyspaces
}
