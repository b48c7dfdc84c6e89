package consume_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// rights are the subjects that a user may publish and subscribe to.
type rights struct{ publish, subscribe []string }

// documentedRights reads the table of docs/receiving-events.md, by the first cell.
func documentedRights(t *testing.T) map[string]rights {
	t.Helper()
	page, err := os.ReadFile("../../docs/receiving-events.md")
	must(t, err)
	_, section, ok := strings.Cut(string(page), "\n### The rights that users need\n")
	if !ok {
		t.Fatal("the page has no table of rights")
	}
	section, _, _ = strings.Cut(section, "\n#")
	subjects := func(cell string) (all []string) {
		for _, code := range regexp.MustCompile("`[^`]+`").FindAllString(cell, -1) {
			all = append(all, strings.ReplaceAll(strings.Trim(code, "`"), "NAME", "c"))
		}
		return all
	}
	table := make(map[string]rights)
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.Contains(cells[2], "`") {
			table[strings.TrimSpace(cells[1])] = rights{subjects(cells[2]), subjects(cells[3])}
		}
	}
	return table
}

// TestRights shows that the documented rights are enough for all that a user does.
func TestRights(t *testing.T) {
	table := documentedRights(t)
	if len(table) != len(works) {
		t.Errorf("the table has %d users, want %d", len(table), len(works))
	}
	for who, work := range works {
		t.Run(who, func(t *testing.T) {
			u := newUser(t, table[who], "")
			if err := work(t.Context(), u); err != nil {
				t.Error(err)
			}
			if said := u.said(); strings.Contains(strings.ToLower(said), "violation") {
				t.Errorf("a right is missing: %s", said)
			}
		})
	}
}

// TestMissingRight shows that each of the documented rights is needed, and is named by its
// subject where it is missing.
func TestMissingRight(t *testing.T) {
	table := documentedRights(t)
	for who, work := range works {
		all := table[who]
		for i, subject := range all.publish {
			t.Run(who+" publishes to "+subject, func(t *testing.T) {
				u := newUser(t, rights{without(all.publish, i), all.subscribe}, `Publish to "`+fixed(subject))
				u.mustBeRefused(work)
			})
		}
		for i, subject := range all.subscribe {
			t.Run(who+" subscribes to "+subject, func(t *testing.T) {
				u := newUser(t, rights{all.publish, without(all.subscribe, i)}, `Subscription to "`+fixed(subject))
				u.mustBeRefused(work)
			})
		}
	}
}

// TestConsumerSaysWhatIsRefused shows that a consumer says what it cannot do without a right.
func TestConsumerSaysWhatIsRefused(t *testing.T) {
	r := documentedRights(t)["a consumer"]
	i := slices.IndexFunc(r.publish, func(s string) bool { return strings.Contains(s, "CONSUMER.RESET") })
	u := newUser(t, rights{without(r.publish, i), r.subscribe}, "")
	tell(t, u.root.NewPublisher(0, 1, time.Now()), cids(3)...)
	var tb table
	start(t, u.bus(), "c", &memory{}, &tb, nil)
	eventually(t, func() string {
		return lacks(u.said(), "consumer c goes on where it is: reading the stream again: NATS refuses: ")
	})
}

func without(all []string, i int) []string { return slices.Delete(slices.Clone(all), i, i+1) }

// fixed is what a pattern of subjects begins with.
func fixed(subject string) string { return strings.TrimRight(subject, ">*") }
