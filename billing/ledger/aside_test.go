package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// What comes again on one day is one item.
func TestQuarantine(t *testing.T) {
	s := openStore(t)
	now := time.UnixMilli(1_700_000_000_000).UTC()
	s.now = func() time.Time { return now }
	stored := time.UnixMilli(day*86_400_000 + 5)
	first := now
	for range 3 {
		must(t, s.Quarantine(t.Context(), "size: negative", "alice", []byte{0, 1}, stored))
		now = now.Add(time.Second)
	}
	must(t, s.Quarantine(t.Context(), "size: negative", "", []byte{0, 2}, stored))
	must(t, s.Quarantine(t.Context(), "size: negative", "alice", []byte{0, 1}, stored.Add(24*time.Hour)))
	all := items(t, s)
	if len(all) != 2 {
		t.Fatalf("there are %+v", all)
	}
	i := slices.IndexFunc(all, func(i Item) bool { return i.Owner == "alice" })
	got := all[i]
	if got.Why != "size: negative" || string(got.Payload) != "\x00\x01" || !got.First.Equal(first) || !got.Last.Equal(first.Add(2*time.Second)) || got.Times != 3 || got.Resolved != "" {
		t.Errorf("the item is %+v", got)
	}
	must(t, s.Resolve(t.Context(), day, got.ID, "a bug of the gateway"))
	must(t, s.Quarantine(t.Context(), "size: negative", "alice", []byte{0, 1}, stored))
	for _, got := range items(t, s) {
		if (got.Resolved == "a bug of the gateway" && !got.ResolvedAt.IsZero()) != (got.Owner == "alice") {
			t.Errorf("resolved is %+v", got)
		}
	}
}

func items(t *testing.T, s *Store) []Item {
	t.Helper()
	var all []Item
	must(t, s.EachQuarantined(t.Context(), day, func(i Item) error {
		all = append(all, i)
		return nil
	}))
	return all
}

func TestSizes(t *testing.T) {
	s := openStore(t)
	for _, size := range []int64{7, 7, 3} {
		must(t, s.PutSize(t.Context(), "c", size, "peer", time.UnixMilli(size)))
	}
	must(t, s.PutSize(t.Context(), "d", 1, "peer", time.UnixMilli(1)))
	got, err := s.Sizes(t.Context(), []string{"c", "d", "e"})
	if err != nil || fmt.Sprint(got) != "map[c:[3 7] d:[1]]" {
		t.Errorf("the sizes are %v, %v", got, err)
	}
}

// What has a size is not entered again by a write that comes late.
func TestUnsized(t *testing.T) {
	s := openStore(t)
	a, b := Key{"alice", "1"}, Key{"bob", "1"}
	must(t, s.PutUnsized(t.Context(), map[Key]string{a: "c", b: "c", {"bob", "2"}: "d"}))
	must(t, s.DeleteUnsized(t.Context(), map[Key]string{a: "c"}))
	must(t, s.PutUnsized(t.Context(), map[Key]string{a: "c"}))
	var of, all []string
	must(t, s.EachUnsized(t.Context(), "c", func(k Key) error {
		of = append(of, fmt.Sprint(k))
		return nil
	}))
	must(t, s.EachUnsizedOfAll(t.Context(), func(cid string, k Key) error {
		all = append(all, fmt.Sprint(cid, k))
		return nil
	}))
	slices.Sort(all)
	if fmt.Sprint(of) != "[{bob 1}]" || fmt.Sprint(all) != "[c{bob 1} d{bob 2}]" {
		t.Errorf("of the CID %v, of all %v", of, all)
	}
}
