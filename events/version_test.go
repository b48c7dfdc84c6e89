package events

import (
	"testing"
	"time"

	"github.com/gocql/gocql"
	"pgregory.net/rapid"
)

// TestVersionOf shows a version of each shape of a uuid.
func TestVersionOf(t *testing.T) {
	for _, test := range []struct {
		uuid string
		want Version
		time string
	}{
		{"00000000-0000-0000-0000-000000000000", "", "0001-01-01T00:00:00Z"},
		{"00000000-0000-1000-8000-000000000000", "0000000000000008000000000000000", "1582-10-15T00:00:00Z"},
		{"89abcdef-4567-1123-8899-aabbccddeeff", "123456789abcdef8899aabbccddeeff", "1842-08-03T15:48:41.6486895Z"},
		{"ffffffff-ffff-1fff-bfff-ffffffffffff", "fffffffffffffffbfffffffffffffff", "5236-03-31T21:21:00.6846975Z"},
	} {
		uuid, err := gocql.ParseUUID(test.uuid)
		if err != nil {
			t.Fatal(err)
		}
		got := VersionOf(uuid)
		if got != test.want || got.Time().Format(time.RFC3339Nano) != test.time {
			t.Errorf("%s: %q at %s, want %q at %s", test.uuid, got, got.Time().Format(time.RFC3339Nano), test.want, test.time)
		}
	}
	for _, v := range []Version{"x", "0000000000000008000000000000000 ", "000000000000000800000000000000g"} {
		if !v.Time().IsZero() {
			t.Errorf("%q has the time %s", v, v.Time())
		}
	}
}

// TestOrderOfVersions shows that versions are ordered as the driver's timeuuids are by
// their time, to its 100 ns, and that no two timeuuids have one version.
func TestOrderOfVersions(t *testing.T) {
	from, to := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	at := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(from, to).Draw(t, "second"), rapid.Int64Range(0, 9_999_999).Draw(t, "tick")*100).UTC()
	})
	rapid.Check(t, func(t *rapid.T) {
		a := at.Draw(t, "a")
		b := rapid.OneOf(at, rapid.Map(rapid.Int64Range(-1<<33, 1<<33), func(ticks int64) time.Time {
			return a.Add(time.Duration(ticks) * 100)
		})).Draw(t, "b")
		u, v := gocql.UUIDFromTime(a), gocql.UUIDFromTime(b)
		newer, older := VersionOf(u), VersionOf(v)
		if !newer.Time().Equal(a) || !newer.valid() {
			t.Fatalf("%s of %s has the time %s", newer, a, newer.Time())
		}
		if !a.Equal(b) && Newer(newer, older) != a.After(b) {
			t.Fatalf("%s and %s: Newer is %v", a, b, Newer(newer, older))
		}
		if u != v && newer == older || Newer(newer, newer) || !Newer(newer, "") {
			t.Fatalf("%s and %s are %s and %s", u, v, newer, older)
		}
	})
}
