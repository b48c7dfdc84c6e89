package pins

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestBounds: what a client may not say is refused by the name of the field.
func TestBounds(t *testing.T) {
	for _, tt := range []struct {
		field  string
		change func(*NewRequest)
	}{
		{"cid", func(n *NewRequest) { n.CID = "" }},
		{"cid", func(n *NewRequest) { n.CID = "../x" }},
		{"cid", func(n *NewRequest) { n.CID = strings.Repeat("b", maxCID+1) }},
		{"name", func(n *NewRequest) { n.Name = strings.Repeat("ä", MaxName+1) }},
		{"name", func(n *NewRequest) { n.Name = "a\x00" }},
		{"name", func(n *NewRequest) { n.Name = "\xff" }},
		{"meta", func(n *NewRequest) { n.Meta = map[string]string{"k": strings.Repeat("v", MaxMetaBytes)} }},
		{"meta", func(n *NewRequest) { n.Meta = map[string]string{"k": "\xff"} }},
		{"meta", func(n *NewRequest) {
			n.Meta = make(map[string]string)
			for i := range MaxMeta + 1 {
				n.Meta[fmt.Sprint(i)] = ""
			}
		}},
		{"origins", func(n *NewRequest) { n.Origins = []string{"http://x"} }},
		{"origins", func(n *NewRequest) { n.Origins = make([]string, MaxOrigins+1) }},
		{"origins", func(n *NewRequest) { n.Origins = []string{"/dns4/" + strings.Repeat("a", MaxOrigin)} }},
		{"region", func(n *NewRequest) { n.Region = strings.Repeat("a", MaxRegion+1) }},
		{"replication", func(n *NewRequest) { n.ReplMin, n.ReplMax = 3, 2 }},
		{"replication", func(n *NewRequest) { n.ReplMin, n.ReplMax = -1, 2 }},
		{"replication", func(n *NewRequest) { n.ReplMin, n.ReplMax = 0, 2 }},
		{"replication", func(n *NewRequest) { n.ReplMin, n.ReplMax = 1, MaxRepl+1 }},
		{"replication", func(n *NewRequest) { n.ReplMin, n.ReplMax = -2, -2 }},
		{"tenant", func(n *NewRequest) { n.Tenant = "" }},
		{"owner", func(n *NewRequest) { n.Owner = "" }},
		{"", func(*NewRequest) {}},
		{"", func(n *NewRequest) { n.Name = strings.Repeat("ä", MaxName) }},
		{"", func(n *NewRequest) { n.ReplMin, n.ReplMax = -1, -1 }},
	} {
		n := newRequest("t1", 1)
		tt.change(&n)
		_, err := n.checked(MaxRepl)
		checkField(t, err, tt.field)
		n.CID = "" // it is not known yet
		if tt.field != "cid" {
			checkField(t, n.checkOptions(MaxRepl), tt.field)
		}
	}
	for _, tt := range []struct {
		field string
		q     Query
	}{
		{"cid", Query{CIDs: []string{"x"}}},
		{"cid", Query{CIDs: make([]string, MaxCIDs+1)}},
		{"status", Query{Statuses: []Status{"unknown"}}},
		{"match", Query{Match: "fuzzy"}},
		{"limit", Query{Limit: -1}},
		{"limit", Query{Limit: MaxLimit + 1}},
		{"name", Query{Name: strings.Repeat("a", MaxName+1)}},
		{"meta", Query{Meta: map[string]string{"\xff": ""}}},
		{"", Query{}},
	} {
		_, err := tt.q.checked()
		checkField(t, err, tt.field)
	}
}

func checkField(t *testing.T, err error, field string) {
	t.Helper()
	var invalid *InvalidError
	switch {
	case field == "" && err != nil:
		t.Error(err)
	case field != "" && (!errors.As(err, &invalid) || invalid.Field != field):
		t.Errorf("%v, want an error of %s", err, field)
	}
}

// TestCanonicalCID: one CID has one text, and those of two versions are two.
func TestCanonicalCID(t *testing.T) {
	const v0, v1 = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n", "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
	for _, tt := range []struct{ in, out string }{
		{v0, v0}, {v1, v1}, {"F01701220E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"},
	} {
		if got, err := canonicalCID(tt.in); err != nil || got != tt.out {
			t.Errorf("%s: %s, %v", tt.in, got, err)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		match     Match
		name, has string
		want      bool
	}{
		{Exact, "Photo", "Photo", true}, {Exact, "photo", "Photo", false}, {Exact, "Phot", "Photo", false},
		{IExact, "photo", "PHOTO", true}, {IExact, "phot", "PHOTO", false},
		{IExact, "STRASSE", "straße", true}, {IExact, "ΣΊΣΥΦΟΣ", "σίσυφος", true}, {IExact, "ä", "Ä", true},
		{Partial, "hot", "Photo", true}, {Partial, "HOT", "Photo", false},
		{IPartial, "HOT", "Photo", true}, {IPartial, "SS", "straße", true}, {IPartial, "x", "Photo", false},
		{Exact, "", "anything", true},
	} {
		q := Query{Name: tt.name, Match: tt.match}
		if got := q.matcher()(&row{Request: Request{Name: tt.has}}); got != tt.want {
			t.Errorf("%s %q of %q: %v", tt.match, tt.name, tt.has, got)
		}
	}
}

// TestSpan: bounds are exclusive, and those between milliseconds mean what they say.
func TestSpan(t *testing.T) {
	at := time.UnixMilli(1000)
	for _, tt := range []struct {
		q    Query
		want span
	}{
		{Query{}, span{-1, maxCreated}},
		{Query{Before: at, After: at}, span{1000, 1000}},
		{Query{Before: at.Add(time.Microsecond), After: at.Add(time.Microsecond)}, span{1000, 1001}},
		{Query{Before: time.Unix(-5, 0), After: time.Unix(-5, 0)}, span{-1, 0}},
		{Query{Before: time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC)}, span{-1, maxCreated}},
	} {
		if got := tt.q.span(); got != tt.want {
			t.Errorf("%+v: %+v", tt.q, got)
		}
	}
}

// TestSlices: a row lies in its slice, and a slice that is full is followed by a shorter one.
func TestSlices(t *testing.T) {
	s := newSlicer()
	s.rows = 2
	now := time.UnixMilli(1_700_000_000_123)
	last := int64(0)
	for i := range 12 {
		created, slice, _ := s.next("t", now)
		if created <= last || created < startOf(slice) || created >= endOf(slice) {
			t.Errorf("%d in [%d, %d) after %d", created, startOf(slice), endOf(slice), last)
		}
		if want := min(i/2, levels-1); levelOf(slice) != want {
			t.Errorf("request %d is in a slice of level %d, want %d", i, levelOf(slice), want)
		}
		last = created
	}
	if _, slice, _ := s.next("t", now.Add(33*24*time.Hour)); levelOf(slice) != 0 {
		t.Error("a new slice of the first level is not used")
	}
	_, slice, noted := s.next("other", now)
	s.note("other", slice)
	if _, _, again := s.next("other", now); noted || !again {
		t.Errorf("noted before %v, after %v", noted, again)
	}
	for level := 1; level < levels; level++ {
		if lengthOf(level-1)%lengthOf(level) != 0 {
			t.Errorf("slices of level %d overlap two of those before", level)
		}
	}
}

// TestQueueIsFair: a tenant with much work does not hold up the others, nor fill the queue.
func TestQueueIsFair(t *testing.T) {
	q := newQueue(100)
	for i := range 1000 {
		q.push(work{tenant: "greedy", cid: fmt.Sprint(i)})
	}
	for i := range 3 {
		if !q.push(work{tenant: "modest", cid: fmt.Sprint(i)}) {
			t.Fatal("there is no room for the other tenant")
		}
	}
	var order []string
	for range 6 {
		w, err := q.pop(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, w.tenant+w.cid)
	}
	if got := strings.Join(order, " "); got != "greedy0 modest0 greedy1 modest1 greedy2 modest2" {
		t.Error(got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newQueue(1).pop(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestPolls: each is due when it is said to be, the earliest time counts.
func TestPolls(t *testing.T) {
	p, now := newPolls(3), time.Unix(1000, 0)
	p.add(poll{cid: "a", due: now.Add(time.Minute), tries: 5, named: []claimant{{tenant: "1"}}})
	p.add(poll{cid: "b", due: now.Add(time.Second)})
	p.add(poll{cid: "a", due: now.Add(2 * time.Second), named: []claimant{{tenant: "2"}, {tenant: "1"}}})
	p.add(poll{cid: "c", due: now})
	p.add(poll{cid: "d", due: now}) // no room
	some, next := p.take(now, 100)
	if len(some) != 1 || some[0].cid != "c" || !next.Equal(now.Add(time.Second)) {
		t.Errorf("%+v, next %s", some, next)
	}
	some, next = p.take(now.Add(time.Hour), 100)
	if len(some) != 2 || some[0].cid != "b" || some[1].cid != "a" || len(some[1].named) != 2 || some[1].tries != 0 || !next.IsZero() {
		t.Errorf("%+v, next %s", some, next)
	}
}

// TestLargerReplication: of what is asked for the most counts.
func TestLargerReplication(t *testing.T) {
	for _, tt := range []struct{ a, b, want int }{{0, 0, 0}, {0, 2, 2}, {2, 0, 2}, {2, 4, 4}, {4, 2, 4}, {5, -1, -1}, {-1, 5, -1}, {0, -1, -1}, {-1, -1, -1}} {
		if got := larger(tt.a, tt.b); got != tt.want {
			t.Errorf("%d and %d: %d", tt.a, tt.b, got)
		}
	}
}

// TestTimes: what a todo row announces is over when it is looked at, also by a clock that is
// some seconds ahead.
func TestTimes(t *testing.T) {
	const clocks = 5 * time.Second
	if startMost+settleMost+SettleTime+clocks > todoAfter || actMost+clocks > todoAfter || recountWait <= placeLife+actMost {
		t.Error("a look may come before what it is to see")
	}
	now := time.UnixMilli(1_700_000_000_123)
	for range 120 {
		now = now.Add(time.Second)
		end := time.UnixMilli((slotAfter(now, todoAfter) + 1) * slotTime.Milliseconds())
		if d := end.Sub(now); d <= todoAfter || d > todoAfter+slotTime {
			t.Errorf("%s: looked at after %s", now, d)
		}
	}
}

// FuzzID: each key has one text, and no other text is one.
func FuzzID(f *testing.F) {
	f.Add(key{slice: sliceOf(1_700_000_000_123, 2), created: 1_700_000_000_123, rnd: -5}.id())
	f.Add(key{slice: sliceOf(0, 0)}.id())
	f.Add("")
	f.Add("AEAQCAAAAAAAAAAAAAAAAAAAAA")
	f.Add("aeaaaaaaaaaaaaaaaaaaaaaaab")
	f.Add("aeaaaaaaa\naaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, text string) {
		k, ok := parseID(text)
		if !ok {
			return
		}
		if k.id() != text {
			t.Errorf("%q is another text of %q", text, k.id())
		}
		if k.created < startOf(k.slice) || k.created >= endOf(k.slice) || levelOf(k.slice) >= levels {
			t.Errorf("%q: %+v is not in its slice", text, k)
		}
	})
}
