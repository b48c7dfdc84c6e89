package stripe

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that a test must find, planted in the real code.
var mutants = []struct {
	name, test string
	edit       overlay.Edit
}{
	{"what was made is not looked for", "TestStopAnywhere", overlay.Edit{File: "steps.go", Old: "	if !w.isNew {\n		// The answer was lost", New: "	if false {\n		// The answer was lost"}},
	{"an invoice is made without its key", "TestRequests", overlay.Edit{File: "steps.go", Old: "		params.SetIdempotencyKey(key)\n		in, err :=", New: "		in, err :="}},
	{"lines are added without their keys", "TestRequests", overlay.Edit{File: "steps.go", Old: "		params.SetIdempotencyKey(key)\n		made, err :=", New: "		made, err :="}},
	{"the last id counts, not the first", "TestAnotherWasFaster", overlay.Edit{File: "steps.go", Old: "return kept, c.remove(ctx, id)", New: "return id, nil"}},
	{"a draft too many stays", "TestAnotherWasFaster", overlay.Edit{File: "steps.go", Old: "return kept, c.remove(ctx, id)", New: "return kept, nil"}},
	{"lines come with the next invoice", "TestCollect", overlay.Edit{File: "steps.go", Old: "		Invoice: sdk.String(id),\n	}\n	params.AddMetadata(metaNumber", New: "	}\n	params.AddMetadata(metaNumber"}},
	{"lines that are there are added again", "TestStopAnywhere", overlay.Edit{File: "steps.go", Old: "		if !have[n] {", New: "		if !have[n] || !w.isNew {"}},
	{"lines that are there twice stay", "TestLinesThatAreThereTwice", overlay.Edit{File: "steps.go", Old: "again = append(again, item.ID)", New: ""}},
	{"what Stripe holds against a key stays", "TestFaults", overlay.Edit{File: "steps.go", Old: "n == tries {", New: "n > 0 {"}},
	{"another key is taken without looking", "TestFaults", overlay.Edit{File: "steps.go", Old: "!isKept(err) || w.isNew ||", New: "!isKept(err) ||"}},
	{"it is charged by itself", "TestRequests", overlay.Edit{File: "steps.go", Old: "AutoAdvance:                 sdk.Bool(false)", New: "AutoAdvance:                 sdk.Bool(true)"}},
	{"totals are not compared", "TestTotalsAreCompared", overlay.Edit{File: "collect.go", Old: "	case in.Total != w.total:", New: "	case false:"}},
	{"what is due is not compared", "TestTotalsAreCompared", overlay.Edit{File: "collect.go", Old: "	case in.AmountDue != w.total:", New: "	case false:"}},
	{"a refused draft stays", "TestTotalsAreCompared", overlay.Edit{File: "collect.go", Old: "if err := c.withdraw(ctx, a); err != nil {", New: "if err := error(nil); err != nil {"}},
	{"what was cancelled meanwhile becomes final", "TestCancelBesides", overlay.Edit{File: "collect.go", Old: "	switch why, err := c.ended(ctx, w.ask); {\n	case err != nil:\n		return nil, err", New: "	switch why, err := \"\", error(nil); {\n	case err != nil:\n		return nil, err"}},
	{"cancelling is not noted", "TestCancelBesides", overlay.Edit{File: "cancel.go", Old: "		if _, err := c.end(ctx, a, \"it was cancelled\"); err != nil {\n			return err\n		}\n", New: ""}},
	{"two revisions are asked at once", "TestSameRevisionOtherContent", overlay.Edit{File: "ask.go", Old: "			if ended == \"\" {", New: "			if ended == \"no\" {"}},
	{"other content is not noticed", "TestSameRevisionOtherContent", overlay.Edit{File: "ask.go", Old: "a.Rev == invoice.Rev && a.Digest != mine.Digest", New: "a.Rev == invoice.Rev && a.Digest == \"\""}},
	{"a credit note is not looked for", "TestStopOfCredit", overlay.Edit{File: "credit.go", Old: "	if !isNew {", New: "	if isNew {"}},
	{"a credit note is asked without its key", "TestCredit", overlay.Edit{File: "credit.go", Old: "	params.SetIdempotencyKey(key)\n", New: ""}},
	{"the third digit of KWD is sent", "TestUnits", overlay.Edit{File: "currency.go", Old: "	if stripes == 3 {", New: "	if false {"}},
	{"amounts overflow", "TestBounds", overlay.Edit{File: "currency.go", Old: "	case !out.IsInt64():", New: "	case false:"}},
	{"ISK is sent without its two digits", "TestUnits", overlay.Edit{File: "currency.go", Old: "		return 0, 2\n", New: "		return 0, 0\n"}},
	{"the key is in an error", "TestBadAnswers", overlay.Edit{File: "errors.go", Old: `strings.ReplaceAll(e.Msg, c.key, "(the key)")`, New: `e.Msg`}},
	{"everybody may read the key", "TestSecretFiles", overlay.Edit{File: "secrets.go", Old: "0o007 != 0", New: "0o007 > 7"}},
	{"this machine is named", "TestThisMachineIsNotNamed", overlay.Edit{File: "collector.go", Old: `	out.Header.Del("X-Stripe-Client-User-Agent")`, New: ""}},
	{"any signature passes", "TestSignatures", overlay.Edit{File: "webhook.go", Old: "Tolerance) == nil {", New: "Tolerance) == nil || true {"}},
	{"old signatures pass", "TestSignatures", overlay.Edit{File: "webhook.go", Old: "webhook.ValidatePayloadWithTolerance(body, header, secret, Tolerance)", New: "webhook.ValidatePayloadIgnoringTolerance(body, header, secret)"}},
	{"the second secret is forgotten", "TestSignatures", overlay.Edit{File: "webhook.go", Old: "range h.secrets {", New: "range h.secrets[:1] {"}},
	{"bodies have no bound", "TestRequestsOfStrangers", overlay.Edit{File: "webhook.go", Old: "http.MaxBytesReader(w, r.Body, MaxBody)", New: "r.Body"}},
	{"events of the other mode pass", "TestRequestsOfStrangers", overlay.Edit{File: "webhook.go", Old: "e.live != h.collector.live", New: "e.live && h.collector.live"}},
	{"what is not recorded is acknowledged", "TestAcknowledgedAfterwards", overlay.Edit{File: "webhook.go", Old: "h.collector.handle(ctx, e); err != nil {", New: "h.collector.handle(ctx, e); err != nil && e.id == \"\" {"}},
	{"an event is done before it is recorded", "TestAcknowledgedAfterwards", overlay.Edit{File: "webhook.go", Old: "	switch e.kind {\n	case ofRefund:", New: "	if _, err := c.journal.Remember(ctx, Name, key, \"done\"); err != nil {\n		return err\n	}\n	switch e.kind {\n	case ofRefund:"}},
	{"known events are handled again", "TestReplayed", overlay.Edit{File: "webhook.go", Old: "err != nil || done != \"\" {", New: "err != nil || done == \"never\" {"}},
	{"an old state takes back a new one", "TestOldStates", overlay.Edit{File: "record.go", Old: "Version: uint64(in.AmountPaid) << 1,", New: "Version: 1<<60 - uint64(in.AmountPaid)<<1,"}},
	{"a new state does not take the place of an old one", "TestAnyOrder", overlay.Edit{File: "record.go", Old: "Version: uint64(in.AmountPaid) << 1,", New: "Version: 2,"}},
	{"a refund that failed does not count", "TestAnyOrder", overlay.Edit{File: "record.go", Old: "p.Kind, p.Version, p.Final = rails.Reversed, 3, true\n		p.Detail", New: "p.Kind, p.Version, p.Final = rails.Reversed, 1, true\n		p.Detail"}},
	{"a refund forgets its credit note", "TestAnyOrder", overlay.Edit{File: "record.go", Old: "made.Refund.ID == refund", New: "made.Refund.ID == invoice"}},
	{"a copy is taken for ours", "TestNotOurs", overlay.Edit{File: "record.go", Old: "	return number, detail, nil", New: "	return in.Metadata[metaNumber], \"\", nil"}},
	{"metadata that somebody changed are trusted", "TestMetadataIsNotTrusted", overlay.Edit{File: "record.go", Old: "	return number, detail, nil", New: "	return in.Metadata[metaNumber], \"\", nil"}},
	{"the revision before can still be paid", "TestNextRevision", overlay.Edit{File: "ask.go", Old: "if err := c.withdraw(ctx, a); err != nil {", New: "if err := error(nil); err != nil {"}},
}

// TestPlantedBugsAreFound builds the code with one bug after the other, all of them with
// TEST_LONG=1.
func TestPlantedBugsAreFound(t *testing.T) {
	for i, m := range mutants {
		if err := overlay.Check(".", []overlay.Edit{m.edit}); err != nil {
			t.Errorf("%s: %s", m.name, err)
			continue
		}
		if i > 0 && os.Getenv("TEST_LONG") != "1" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			program, err := overlay.Build(ctx, ".", "*_test.go", t.TempDir(), []overlay.Edit{m.edit})
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(ctx, program, "-test.run", "^"+m.test+"$", "-test.timeout", "5m").CombinedOutput() //nolint:gosec // it was just built
			if err == nil || !strings.Contains(string(out), "--- FAIL: "+m.test) {
				t.Fatalf("not found: %v\n%s", err, out)
			}
		})
	}
	if os.Getenv("TEST_LONG") != "1" {
		t.Logf("A SLICE ONLY: 1 planted bug of %d. TEST_LONG=1 plants all.", len(mutants))
	}
}
