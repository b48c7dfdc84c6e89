package claim_test

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

const sampleCid = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"

// noon is when the sample is accepted.
func noon() time.Time { return time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC) }

func policy() claim.Policy {
	return claim.Policy{Start: claim.StartAccepted, Replicas: claim.ReplicasRequested, DefaultReplicas: 2, AllReplicas: 5, MaxSize: 1 << 50, Window: 60 * 24 * time.Hour}
}

// sample is all that may be told of a claim: 1000 bytes, three times, for an hour.
func sample() events.ClaimData {
	return events.ClaimData{
		Cid: sampleCid, Owner: "acme", RequestID: "r1", Name: "holidays", Replicas: 3, Size: 1000,
		Accepted: noon(), Pinned: noon().Add(10 * time.Minute), Removed: noon().Add(time.Hour),
	}
}

// told says what facts say, in short.
func told(facts []claim.Fact) string {
	var out []string
	for _, f := range facts {
		at := time.UnixMilli(f.At).Sub(noon())
		out = append(out, fmt.Sprintf("%s %s %+d at %s", f.Kind, f.Bytes, f.Pins, at))
	}
	return strings.Join(out, ", ")
}

// TestFacts: what a claim is billed for, as far as it is known.
func TestFacts(t *testing.T) {
	type change = func(c *events.ClaimData, p *claim.Policy)
	running := func(c *events.ClaimData, _ *claim.Policy) { c.Removed = time.Time{} }
	unsized := func(c *events.ClaimData, _ *claim.Policy) { c.Size = 0 }
	unpinned := func(c *events.ClaimData, _ *claim.Policy) { c.Pinned = time.Time{} }
	fromPinned := func(_ *events.ClaimData, p *claim.Policy) { p.Start = claim.StartPinned }
	replicas := func(n int) change { return func(c *events.ClaimData, _ *claim.Policy) { c.Replicas = n } }
	for name, test := range map[string]struct {
		changes []change
		want    string
		unsized bool
	}{
		"all":                                  {nil, "start 0 +1 at 0s, size 3000 +0 at 0s, stop 0 -1 at 1h0m0s, free -3000 +0 at 1h0m0s", false},
		"as long as it runs":                   {[]change{running}, "start 0 +1 at 0s, size 3000 +0 at 0s", false},
		"a size of 0 on the wire is not known": {[]change{running, unsized}, "start 0 +1 at 0s", true},
		"removed without a size":               {[]change{unsized}, "start 0 +1 at 0s, stop 0 -1 at 1h0m0s", true},
		"from when it is pinned":               {[]change{fromPinned}, "start 0 +1 at 10m0s, size 3000 +0 at 10m0s, stop 0 -1 at 1h0m0s, free -3000 +0 at 1h0m0s", false},
		"never pinned":                         {[]change{fromPinned, unpinned}, "", false},
		"not pinned yet, and not sized":        {[]change{fromPinned, unpinned, unsized, running}, "", false},
		"not pinned, no matter":                {[]change{running, unpinned}, "start 0 +1 at 0s, size 3000 +0 at 0s", false},
		"pinned before it was accepted": {[]change{fromPinned, running, func(c *events.ClaimData, _ *claim.Policy) { c.Pinned = noon().Add(-time.Hour) }},
			"start 0 +1 at 0s, size 3000 +0 at 0s", false},
		"removed before it was accepted": {[]change{func(c *events.ClaimData, _ *claim.Policy) { c.Removed = noon().Add(-time.Hour) }},
			"start 0 +1 at 0s, size 3000 +0 at 0s, stop 0 -1 at 0s, free -3000 +0 at 0s", false},
		"removed before it was pinned": {[]change{fromPinned, func(c *events.ClaimData, _ *claim.Policy) { c.Removed = noon().Add(time.Minute) }},
			"start 0 +1 at 10m0s, size 3000 +0 at 10m0s, stop 0 -1 at 10m0s, free -3000 +0 at 10m0s", false},
		"accepted before there was billing": {[]change{running, func(_ *events.ClaimData, p *claim.Policy) { p.Since = noon().Add(30 * time.Minute) }},
			"start 0 +1 at 30m0s, size 3000 +0 at 30m0s", false},
		"removed before there was billing": {[]change{func(_ *events.ClaimData, p *claim.Policy) { p.Since = noon().Add(2 * time.Hour) }},
			"start 0 +1 at 2h0m0s, size 3000 +0 at 2h0m0s, stop 0 -1 at 2h0m0s, free -3000 +0 at 2h0m0s", false},
		"the cluster's default": {[]change{running, replicas(0)}, "start 0 +1 at 0s, size 2000 +0 at 0s", false},
		"every peer":            {[]change{running, replicas(-1)}, "start 0 +1 at 0s, size 5000 +0 at 0s", false},
		"one copy is billed": {[]change{running, func(_ *events.ClaimData, p *claim.Policy) { p.Replicas = claim.ReplicasSingle }},
			"start 0 +1 at 0s, size 1000 +0 at 0s", false},
		"more than an int64 holds": {[]change{running, func(c *events.ClaimData, p *claim.Policy) { c.Size, c.Replicas, p.MaxSize = 1<<60, 100, 0 }},
			"start 0 +1 at 0s, size 115292150460684697600 +0 at 0s", false},
		"what is finer than a millisecond": {[]change{running, func(c *events.ClaimData, _ *claim.Policy) { c.Accepted = noon().Add(1_999_999) }},
			"start 0 +1 at 1ms, size 3000 +0 at 1ms", false},
		"another zone": {[]change{running, func(c *events.ClaimData, _ *claim.Policy) { c.Accepted = noon().In(time.FixedZone("", 7200)) }},
			"start 0 +1 at 0s, size 3000 +0 at 0s", false},
		"1970": {[]change{running, func(c *events.ClaimData, p *claim.Policy) { c.Accepted, p.Since = time.Unix(0, 0), noon() }},
			"start 0 +1 at 0s, size 3000 +0 at 0s", false},
	} {
		c, p := sample(), policy()
		for _, change := range test.changes {
			change(&c, &p)
		}
		facts, err := claim.Facts(c, p)
		if err != nil || told(facts) != test.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", name, told(facts), err, test.want)
		}
		if claim.Unsized(c, p) != test.unsized {
			t.Errorf("%s: unsized is %v", name, !test.unsized)
		}
		for _, f := range facts {
			if f.Owner != "acme" || f.RequestID != "r1" || f.Cid != sampleCid {
				t.Errorf("%s: %s is of %q, %q, %q", name, f.Kind, f.Owner, f.RequestID, f.Cid)
			}
		}
	}
}

// TestRefused: what is not billed, and why.
func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(c *events.ClaimData)
		want   claim.Reason
	}{
		"negative size":             {func(c *events.ClaimData) { c.Size = -1 }, claim.ReasonSize},
		"larger than is believed":   {func(c *events.ClaimData) { c.Size = 1<<50 + 1 }, claim.ReasonLarge},
		"fewer replicas than none":  {func(c *events.ClaimData) { c.Replicas = -2 }, claim.ReasonReplicas},
		"never accepted":            {func(c *events.ClaimData) { c.Accepted = time.Time{} }, claim.ReasonTime},
		"accepted before 1970":      {func(c *events.ClaimData) { c.Accepted = time.Unix(0, -1) }, claim.ReasonTime},
		"pinned before 1970":        {func(c *events.ClaimData) { c.Pinned = time.Unix(-1, 0) }, claim.ReasonTime},
		"removed before 1970":       {func(c *events.ClaimData) { c.Removed = time.Unix(-1, 0) }, claim.ReasonTime},
		"removed after 9999":        {func(c *events.ClaimData) { c.Removed = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) }, claim.ReasonTime},
		"a time beyond all clocks":  {func(c *events.ClaimData) { c.Removed = time.Unix(1<<62, 0) }, claim.ReasonTime},
		"owner too long":            {func(c *events.ClaimData) { c.Owner = strings.Repeat("a", 513) }, claim.ReasonOwner},
		"owner with a line break":   {func(c *events.ClaimData) { c.Owner = "acme\n" }, claim.ReasonOwner},
		"owner with a zero":         {func(c *events.ClaimData) { c.Owner = "\x00" }, claim.ReasonOwner},
		"owner written backwards":   {func(c *events.ClaimData) { c.Owner = "acme\u202e" }, claim.ReasonOwner},
		"owner that is not UTF-8":   {func(c *events.ClaimData) { c.Owner = "\xff" }, claim.ReasonOwner},
		"owner that is no one":      {func(c *events.ClaimData) { c.Owner = claim.Suspense }, claim.ReasonOwner},
		"no request":                {func(c *events.ClaimData) { c.RequestID = "" }, claim.ReasonRequest},
		"request too long":          {func(c *events.ClaimData) { c.RequestID = strings.Repeat("a", 513) }, claim.ReasonRequest},
		"request with a line break": {func(c *events.ClaimData) { c.RequestID = "\r" }, claim.ReasonRequest},
		"no CID":                    {func(c *events.ClaimData) { c.Cid = "" }, claim.ReasonCid},
		"CID with a control":        {func(c *events.ClaimData) { c.Cid = "\x1b[2J" }, claim.ReasonCid},
		"nothing at all":            {func(c *events.ClaimData) { *c = events.ClaimData{} }, claim.ReasonRequest},
	} {
		c := sample()
		test.change(&c)
		facts, err := claim.Facts(c, policy())
		if facts != nil {
			t.Errorf("%s: it is billed for %s", name, told(facts))
		}
		isRefused(t, name, err, test.want)
	}
	most := sample()
	most.Owner, most.Size, most.Removed = strings.Repeat("ü", 256), 1<<50, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	if _, err := claim.Facts(most, policy()); err != nil {
		t.Errorf("the most that is taken: %v", err)
	}
}

func isRefused(t *testing.T, name string, err error, want claim.Reason) {
	t.Helper()
	var no *claim.RefusedError
	if !errors.As(err, &no) || no.Reason != want {
		t.Errorf("%s: %v, not refused for its %s", name, err, want)
	} else if no.Detail == "" || len(err.Error()) > 1000 {
		t.Errorf("%s: it says %q", name, err)
	}
}

// TestSuspense: what has no owner is billed to one that is nobody, under the same IDs each
// time.
func TestSuspense(t *testing.T) {
	c := sample()
	c.Owner = ""
	facts, err := claim.Facts(c, policy())
	if err != nil || len(facts) != 4 {
		t.Fatalf("%s, %v", told(facts), err)
	}
	again, err := claim.Facts(c, policy())
	for i, f := range facts {
		if f.Owner != claim.Suspense || err != nil || !f.Equal(again[i]) {
			t.Errorf("%s is of %q, then %v, %v", f.Kind, f.Owner, again[i], err)
		}
	}
}

// TestTimely: facts that are new are neither of a clock that is ahead, nor older than the
// window.
func TestTimely(t *testing.T) {
	facts, err := claim.Facts(sample(), policy()) // from noon to one o'clock
	if err != nil {
		t.Fatal(err)
	}
	window := policy().Window
	for name, test := range map[string]struct {
		now   time.Time
		facts []claim.Fact
		want  claim.Reason
	}{
		"now":                   {noon().Add(time.Hour), facts, ""},
		"five minutes ahead":    {noon().Add(55 * time.Minute), facts, ""},
		"a millisecond more":    {noon().Add(55*time.Minute - time.Millisecond), facts, claim.ReasonFuture},
		"it ends in the future": {noon(), facts, claim.ReasonFuture},
		"it began now":          {noon(), facts[:2], ""},
		"as old as may be":      {noon().Add(window), facts, ""},
		"a millisecond older":   {noon().Add(window + time.Millisecond), facts, claim.ReasonOld},
		"only its end is new":   {noon().Add(window + time.Minute), facts[2:], ""},
		"its end is older":      {noon().Add(window + time.Hour + time.Millisecond), facts[2:], claim.ReasonOld},
		"nothing is new":        {noon().Add(10 * window), nil, ""},
	} {
		err := policy().Timely(test.now, test.facts...)
		if test.want != "" {
			isRefused(t, name, err, test.want)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	any := policy()
	any.Window = 0
	if err := any.Timely(noon().AddDate(50, 0, 0), facts...); err != nil {
		t.Errorf("without a window: %v", err)
	}
}

// TestPolicy: a policy that is none is no claim's mistake.
func TestPolicy(t *testing.T) {
	for name, change := range map[string]func(p *claim.Policy){
		"nothing":          func(p *claim.Policy) { *p = claim.Policy{} },
		"start":            func(p *claim.Policy) { p.Start = "Accepted" },
		"replicas":         func(p *claim.Policy) { p.Replicas = "actual" },
		"default replicas": func(p *claim.Policy) { p.DefaultReplicas = 0 },
		"all replicas":     func(p *claim.Policy) { p.AllReplicas = -1 },
		"largest size":     func(p *claim.Policy) { p.MaxSize = -1 },
		"window":           func(p *claim.Policy) { p.Window = -1 },
		"since":            func(p *claim.Policy) { p.Since = time.Unix(-1, 0) },
	} {
		p := policy()
		change(&p)
		_, err := claim.Facts(sample(), p)
		var no *claim.RefusedError
		if err == nil || errors.As(err, &no) || p.Check() == nil {
			t.Errorf("%s: %v, %v", name, err, p.Check())
		}
	}
	if err := policy().Check(); err != nil {
		t.Error(err)
	}
}

// TestIDs: they are stored, so they never change; the ones below were made by another
// program, from what the comments say. No two facts of different claims have one.
func TestIDs(t *testing.T) {
	facts, err := claim.Facts(sample(), policy())
	if err != nil {
		t.Fatal(err)
	}
	corrected, err := sampleCorrection().Facts()
	if err != nil {
		t.Fatal(err)
	}
	want := map[claim.Kind]string{
		claim.KindStart:   "f49f3ff25ff61c3c5a848bad9c09d2ea127cf2fd8478c73eee26bdff18d04aeb",
		claim.KindSize:    "6176f14cc96afa572142304345841d4aeb90d2bb9ba55eb307b06ecb0fe897f1",
		claim.KindStop:    "4c271df4b15b913fbc716e86a29e88967d30e389ff60c15a47485d5ccfb43d02",
		claim.KindFree:    "071f851869b394f126fb0dbc870e4ba4053409dff531a98f7d546cd22a61ac3e",
		claim.KindLess:    "35fcd20b83e1f657a55d5b804c05bbdf6bf46cfb652fea815ef281b66d238e79",
		claim.KindMore:    "d2b8cc3c72bb1cadafe5f89297050064b0bb7a37c47673c116f2807a431564a4",
		claim.KindLessEnd: "1c24368621638f3044ad7fb304b340496f84209be730b73015cb7ed3cb6e2e67",
		claim.KindMoreEnd: "f65725d8ba64aa4ed91c502825a8091ad9061d6a191ec1ff23748520f810d66c",
	}
	seen := make(map[[32]byte]bool)
	for _, f := range append(facts, corrected...) {
		if got := fmt.Sprintf("%x", f.ID); got != want[f.Kind] {
			t.Errorf("the ID of %s is %s, not %s", f.Kind, got, want[f.Kind])
		}
		seen[f.ID] = true
	}
	for _, of := range [][2]string{{"acm", "er1"}, {"acmer", "1"}, {"acme/r1", "r1"}, {"acme", "r1/start"}, {"Acme", "r1"}, {"acme", "r2"}} {
		c := sample()
		c.Owner, c.RequestID = of[0], of[1]
		other, err := claim.Facts(c, policy())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range other {
			if seen[f.ID] {
				t.Errorf("%s of %q has the ID of another fact", f.Kind, of)
			}
			seen[f.ID] = true
		}
	}
	if len(seen) != len(want)+6*4 {
		t.Errorf("%d IDs", len(seen))
	}
}

// TestOtherContent: what says something else of a claim that was told has the same IDs, which
// is a conflict where they are added up.
func TestOtherContent(t *testing.T) {
	facts, err := claim.Facts(sample(), policy())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(c *events.ClaimData)
		differ string
	}{
		"size":     {func(c *events.ClaimData) { c.Size++ }, "size free"},
		"replicas": {func(c *events.ClaimData) { c.Replicas++ }, "size free"},
		"accepted": {func(c *events.ClaimData) { c.Accepted = c.Accepted.Add(time.Millisecond) }, "start size"},
		"removed":  {func(c *events.ClaimData) { c.Removed = c.Removed.Add(time.Millisecond) }, "stop free"},
		"CID":      {func(c *events.ClaimData) { c.Cid = "other" }, "start size stop free"},
		"name":     {func(c *events.ClaimData) { c.Name = "other" }, ""},
		"pinned":   {func(c *events.ClaimData) { c.Pinned = c.Pinned.Add(time.Minute) }, ""}, // it begins when it was accepted
	} {
		c := sample()
		test.change(&c)
		other, err := claim.Facts(c, policy())
		if err != nil {
			t.Fatal(err)
		}
		var differ []string
		for i, f := range other {
			if f.ID != facts[i].ID {
				t.Errorf("%s: %s has another ID", name, f.Kind)
			}
			if !f.Equal(facts[i]) {
				differ = append(differ, string(f.Kind))
			}
		}
		if got := strings.Join(differ, " "); got != test.differ {
			t.Errorf("%s: %q differ, not %q", name, got, test.differ)
		}
		var deltas []usage.Delta
		for _, f := range append(other, facts...) {
			deltas = append(deltas, f.Delta)
		}
		_, err = usage.Fold(usage.DayOf(noon().UnixMilli()), usage.Level{}, deltas)
		if conflict := test.differ != "" && name != "CID"; errors.Is(err, usage.ErrConflict) != conflict {
			t.Errorf("%s: folded, the error is %v", name, err)
		}
	}
}

// TestNothingIsShared: no two facts have one number.
func TestNothingIsShared(t *testing.T) {
	correction := sampleCorrection()
	facts, err := claim.Facts(sample(), policy())
	if err != nil {
		t.Fatal(err)
	}
	corrected, err := correction.Facts()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[*big.Int]bool{correction.From.Bytes: true, correction.To.Bytes: true}
	for _, f := range append(facts, corrected...) {
		if seen[f.Bytes] {
			t.Errorf("%s shares its bytes", f.Kind)
		}
		seen[f.Bytes] = true
	}
}
