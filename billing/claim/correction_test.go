package claim_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// sampleCorrection says that the sample has 1200 bytes, from when it began until it ended.
func sampleCorrection() claim.Correction {
	h := claim.Holding{Owner: "acme", RequestID: "r1", Cid: sampleCid, Bytes: big.NewInt(3000)}
	to := h
	to.Bytes = big.NewInt(3600)
	return claim.Correction{ID: "c1", At: noon(), Until: noon().Add(time.Hour), From: h, To: to}
}

// fold is the day of the sample, for one owner.
func fold(t *testing.T, owner string, facts []claim.Fact) usage.Day {
	t.Helper()
	var deltas []usage.Delta
	for _, f := range facts {
		if f.Owner == owner {
			deltas = append(deltas, f.Delta)
		}
	}
	day, err := usage.Fold(usage.DayOf(noon().UnixMilli()), usage.Level{}, deltas)
	if err != nil {
		t.Fatal(err)
	}
	return day
}

// TestCorrectedSize: a claim with another size is billed for that, and what is left is
// nothing. The correction counts once however often it is made, and goes on as long as the
// claim.
func TestCorrectedSize(t *testing.T) {
	const hour = 3_600_000
	correction := sampleCorrection()
	running, c := correction, sample()
	running.Until, c.Removed = time.Time{}, time.Time{}
	facts := both(t, c, running)
	if got := told(facts[2:]); got != "less -3000 +0 at 0s, more 3600 +0 at 0s" {
		t.Errorf("while it runs: %s", got)
	}
	if day := fold(t, "acme", facts); day.Closing.Bytes.Int64() != 3600 || day.Closing.Pins != 1 || day.PeakBytes.Int64() != 3600 {
		t.Errorf("while it runs: %s bytes, %d pins, peak %s", day.Closing.Bytes, day.Closing.Pins, day.PeakBytes)
	}
	facts = append(facts, both(t, sample(), correction)...) // all of them again, and its end
	day := fold(t, "acme", facts)
	if day.Deltas != 8 || day.ByteMS.Int64() != 3600*hour || day.PinMS.Int64() != hour || day.Closing.Bytes.Sign() != 0 || day.Closing.Pins != 0 || day.Negative {
		t.Errorf("%d deltas, %s byte·ms, %s pin·ms, closing %v, negative %v", day.Deltas, day.ByteMS, day.PinMS, day.Closing, day.Negative)
	}
}

func both(t *testing.T, c events.ClaimData, correction claim.Correction) []claim.Fact {
	t.Helper()
	facts, err := claim.Facts(c, policy())
	if err != nil {
		t.Fatal(err)
	}
	corrected, err := correction.Facts()
	if err != nil {
		t.Fatal(err)
	}
	return append(facts, corrected...)
}

// TestOtherOwner: a claim goes to another owner at one millisecond. The first one is billed
// until then, the other one from then on, and nobody for what is left: the claim is told to
// end as the first one's.
func TestOtherOwner(t *testing.T) {
	const minute = 60_000
	correction := sampleCorrection()
	correction.At = noon().Add(20 * time.Minute)
	correction.From.Pins = 1
	correction.To = claim.Holding{Owner: "other", RequestID: "r1", Cid: sampleCid, Bytes: big.NewInt(3000), Pins: 1}
	facts := both(t, sample(), correction)
	for owner, minutes := range map[string]int64{"acme": 20, "other": 40} {
		day := fold(t, owner, facts)
		if day.ByteMS.Int64() != 3000*minutes*minute || day.PinMS.Int64() != minutes*minute || day.Closing.Bytes.Sign() != 0 || day.Closing.Pins != 0 || day.Negative {
			t.Errorf("%s: %s byte·ms, %s pin·ms, closing %v, negative %v", owner, day.ByteMS, day.PinMS, day.Closing, day.Negative)
		}
	}
}

// TestFromSuspense: what had no owner is given to one.
func TestFromSuspense(t *testing.T) {
	c := sample()
	c.Owner = ""
	correction := sampleCorrection()
	correction.From = claim.Holding{Owner: claim.Suspense, RequestID: "r1", Cid: sampleCid, Bytes: big.NewInt(3000), Pins: 1}
	correction.To = correction.From
	correction.To.Owner = "acme"
	facts := both(t, c, correction)
	if day := fold(t, claim.Suspense, facts); day.ByteMS.Sign() != 0 || day.PinMS.Sign() != 0 || day.Negative {
		t.Errorf("what had no owner: %s byte·ms, %s pin·ms, negative %v", day.ByteMS, day.PinMS, day.Negative)
	}
	if day := fold(t, "acme", facts); day.ByteMS.Int64() != 3000*3_600_000 || day.PinMS.Int64() != 3_600_000 {
		t.Errorf("its owner: %s byte·ms, %s pin·ms", day.ByteMS, day.PinMS)
	}
}

// TestRefusedCorrection: what corrects nothing, or makes less than nothing, is refused.
func TestRefusedCorrection(t *testing.T) {
	for name, test := range map[string]struct {
		change func(c *claim.Correction)
		want   claim.Reason
	}{
		"nothing changes":      {func(c *claim.Correction) { c.To.Bytes = big.NewInt(3000) }, claim.ReasonCorrection},
		"no ID":                {func(c *claim.Correction) { c.ID = "" }, claim.ReasonCorrection},
		"ID with a control":    {func(c *claim.Correction) { c.ID = "\n" }, claim.ReasonCorrection},
		"negative bytes":       {func(c *claim.Correction) { c.To.Bytes = big.NewInt(-1) }, claim.ReasonCorrection},
		"negative pins":        {func(c *claim.Correction) { c.From.Pins = -1 }, claim.ReasonCorrection},
		"no time":              {func(c *claim.Correction) { c.At = time.Time{} }, claim.ReasonTime},
		"before 1970":          {func(c *claim.Correction) { c.At = time.Unix(-1, 0) }, claim.ReasonTime},
		"it ends before":       {func(c *claim.Correction) { c.Until = c.At.Add(-1) }, claim.ReasonTime},
		"it ends too late":     {func(c *claim.Correction) { c.Until = time.Unix(1<<60, 0) }, claim.ReasonTime},
		"no owner":             {func(c *claim.Correction) { c.To.Owner = "" }, claim.ReasonOwner},
		"owner with a control": {func(c *claim.Correction) { c.From.Owner = "\x7f" }, claim.ReasonOwner},
		"no request":           {func(c *claim.Correction) { c.From.RequestID = "" }, claim.ReasonRequest},
		"no CID":               {func(c *claim.Correction) { c.To.Cid = "" }, claim.ReasonCid},
	} {
		c := sampleCorrection()
		test.change(&c)
		facts, err := c.Facts()
		if facts != nil {
			t.Errorf("%s: %s", name, told(facts))
		}
		isRefused(t, name, err, test.want)
	}
	c := sampleCorrection()
	c.From.Bytes, c.Until = nil, c.At // nothing was billed; it ends at once
	if facts, err := c.Facts(); err != nil || told(facts) != "less 0 +0 at 0s, more 3600 +0 at 0s, less-end 0 +0 at 0s, more-end -3600 +0 at 0s" {
		t.Errorf("%s, %v", told(facts), err)
	}
}
