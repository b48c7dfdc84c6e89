package plan

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// version is the text of a version of plan standard with a flat fee.
func version(n, effective, currency, price string) File {
	return File{"standard-" + n + ".yaml", []byte("plan: standard\nversion: " + n + "\ncurrency: " + currency + "\neffective: " + effective +
		"\ncharges:\n  - {name: Fee, model: flat, price: \"" + price + "\"}\n")}
}

func book(t testing.TB, files ...File) *Book {
	t.Helper()
	b, err := NewBook(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBook(t *testing.T) {
	b := book(t, version("2", "2027-01-01", "EUR", "2"), version("1", "2026-12-01", "USD", "1"), version("3", "2027-01-15", "EUR", "3"))
	for i, p := range b.Plans() {
		if p.Version() != i+1 {
			t.Errorf("%s is number %d", p, i+1)
		}
	}
	if p, ok := b.Plan("standard", 2); !ok || p.Currency().Code() != "EUR" {
		t.Errorf("%v, %v", p, ok)
	}
	if p, ok := b.Plan("standard", 4); ok {
		t.Errorf("there is %s", p)
	}
}

// TestLintOfBook has what is wrong between files.
func TestLintOfBook(t *testing.T) {
	one := version("1", "2026-12-01", "USD", "1")
	digest := parse(t, string(one.Text)).Digest()
	for _, tt := range []struct {
		name  string
		files []File
		used  []Ref
		want  string
	}{
		{"nothing", []File{one, version("2", "2026-12-02", "USD", "2")}, []Ref{{"standard", 1, digest}}, ""},
		{"no files", nil, nil, ""},
		{"overlapping days", []File{one, version("2", "2026-12-01", "USD", "2")}, nil,
			"standard-2.yaml:4: effective is 2026-12-01, and version 1 is effective from 2026-12-01: on those days both are: let version 2 begin after version 1"},
		{"a later version that begins earlier", []File{one, version("2", "2026-11-01", "USD", "2")}, nil,
			"standard-2.yaml:4: effective is 2026-11-01, and version 1 is effective from 2026-12-01: on those days both are: let version 2 begin after version 1"},
		{"a version twice", []File{one, {"copy.yaml", one.Text}}, nil,
			"copy.yaml: version is 1, as in standard-1.yaml: a version is in one file; give the newer text a number of its own"},
		{"a version that has changed", []File{version("1", "2026-12-01", "USD", "1.50")}, []Ref{{"standard", 1, digest}},
			"standard-1.yaml: version 1 of standard has changed after invoices were made by it, from digest " + digest[:12] + " to " +
				parse(t, string(version("1", "2026-12-01", "USD", "1.50").Text)).Digest()[:12] + ": bring back its text, and write what is new into a version of its own"},
		{"a version that is gone", []File{version("2", "2026-12-01", "USD", "1")}, []Ref{{"standard", 1, digest}},
			"standard: version 1 is gone, and invoices are by it: bring back its file, whose digest was " + digest},
		{"another currency within a month", []File{one, version("2", "2026-12-15", "EUR", "2")}, nil,
			"standard-2.yaml:4: effective is 2026-12-15, within a month, and version 2 has EUR instead of USD: a currency changes with a month"},
		{"a mistake in a file", []File{one, version("2", "2027-12-15", "ERU", "2")}, nil,
			`standard-2.yaml:3: currency "ERU" is not a currency: `},
	} {
		var lines []string
		for _, p := range Lint(tt.files, tt.used) {
			lines = append(lines, p.String())
		}
		got := strings.Join(lines, "\n")
		if got != tt.want && (tt.want == "" || !strings.HasSuffix(tt.want, ": ") || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
		if b, err := NewBook(tt.files, tt.used); (err == nil) != (tt.want == "") || (b == nil) != (tt.want != "") {
			t.Errorf("%s: NewBook: %v", tt.name, err)
		}
	}
}

// TestWarningsAreNoErrors: a book is made in spite of warnings, and Lint tells them.
func TestWarningsAreNoErrors(t *testing.T) {
	f := File{"v.yaml", []byte(simple("USD", `{meter: pin_ms, unit: pin-month, model: volume, tiers: [{up_to: "15", unit_price: "10"}, {up_to: inf, unit_price: "5"}]}`))}
	if b, err := NewBook([]File{f}, nil); err != nil || len(b.Plans()) != 1 {
		t.Error(err)
	}
	if problems := Lint([]File{f}, nil); len(problems) != 1 || !problems[0].Warning {
		t.Error(problems)
	}
}

func TestReadFolder(t *testing.T) {
	folder := fstest.MapFS{
		"b.yaml": {Data: []byte("b")}, "a.yml": {Data: []byte("a")}, "c.json": {Data: []byte("c")}, "README.md": {Data: []byte("d")}, "old/e.yaml": {Data: []byte("e")},
	}
	files, err := ReadFolder(folder)
	var got strings.Builder
	for _, f := range files {
		got.WriteString(f.Name + string(f.Text) + " ")
	}
	if err != nil || got.String() != "a.ymla b.yamlb c.jsonc " {
		t.Errorf("%s, %v", got.String(), err)
	}
	if files, err := ReadFolder(fstest.MapFS{"a.yaml": {Mode: fs.ModeDir}}); err != nil || len(files) > 0 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestSchedule(t *testing.T) {
	b := book(t, version("1", "2026-11-01", "USD", "30"), version("2", "2026-12-11", "USD", "60"),
		File{"other.yaml", []byte("plan: other\nversion: 1\ncurrency: USD\neffective: 2026-01-01\ncharges:\n  - {name: Other, model: flat, price: \"1\"}\n")})
	for _, tt := range []struct {
		name        string
		assignments []Assignment
		want        string
	}{
		{"none", nil, ""},
		{"one version after another", []Assignment{{day(t, "2026-11-05"), "standard", 0}}, "standard version 1 2026-12-01 2026-12-11, standard version 2 2026-12-11 2027-01-01"},
		{"one version", []Assignment{{day(t, "2026-11-05"), "standard", 1}}, "standard version 1 2026-12-01 2027-01-01"},
		{"from within the month", []Assignment{{day(t, "2026-12-05"), "standard", 0}}, "standard version 1 2026-12-05 2026-12-11, standard version 2 2026-12-11 2027-01-01"},
		{"before there was a plan", []Assignment{{day(t, "2026-01-05"), "standard", 0}}, "standard version 1 2026-12-01 2026-12-11, standard version 2 2026-12-11 2027-01-01"},
		{"a change and back", []Assignment{{day(t, "2026-12-21"), "standard", 1}, {day(t, "2026-01-01"), "standard", 0}, {day(t, "2026-12-06"), "other", 0}},
			"standard version 1 2026-12-01 2026-12-06, other version 1 2026-12-06 2026-12-21, standard version 1 2026-12-21 2027-01-01"},
		{"after the month", []Assignment{{day(t, "2027-01-01"), "other", 0}}, ""},
	} {
		s, err := b.Schedule(tt.assignments)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		stretches, err := s.Stretches(december, nil)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		var parts []string
		for _, s := range stretches {
			parts = append(parts, s.Plan.String()+" "+s.From.String()+" "+s.To.String())
		}
		if got := strings.Join(parts, ", "); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
	for want, assignments := range map[string][]Assignment{
		`no plan "gold"`:                 {{0, "gold", 0}},
		`no version 9 of plan "other"`:   {{0, "other", 9}},
		"two plans are assigned from 19": {{0, "other", 0}, {0, "standard", 0}},
	} {
		if _, err := b.Schedule(assignments); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestStretches(t *testing.T) {
	p := parse(t, simple("USD", `{name: Fee, model: flat, price: "1"}`))
	used := Quantities{Storage: gib(1, 1)}
	s := Schedule{[]turn{{day(t, "2026-12-10"), p}}}
	got, err := s.Stretches(december, []DayUsage{{day(t, "2026-12-11"), used}, {day(t, "2026-12-10"), used}, {day(t, "2026-12-01"), Quantities{Pins: nil}}})
	if err != nil || len(got) != 1 || got[0].Used[Storage].Cmp(gib(2, 1)) != 0 || got[0].Used[Pins].Sign() != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if used[Storage].Cmp(gib(1, 1)) != 0 {
		t.Error("the usage of a day was changed")
	}
	for want, days := range map[string][]DayUsage{
		"2026-12-09, when no plan was in force": {{day(t, "2026-12-09"), used}},
		"2026-12-10 is there twice":             {{day(t, "2026-12-10"), used}, {day(t, "2026-12-10"), used}},
		"2027-01-01 is there twice, or is not":  {{day(t, "2027-01-01"), used}},
		"storage_byte_ms is -":                  {{day(t, "2026-12-10"), Quantities{Storage: gib(-1, 1)}}},
	} {
		if _, err := s.Stretches(december, days); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := (Schedule{}).Rate(december, nil); err == nil || !strings.Contains(err.Error(), "no plan was in force") {
		t.Error(err)
	}
}

func TestMonths(t *testing.T) {
	for text, want := range map[string]string{"2026-12-31": "2026-12 31 2027-01", "2028-02-29": "2028-02 29 2028-03", "2027-02-01": "2027-02 28 2027-03", "1969-12-31": "1969-12 31 1970-01"} {
		d := day(t, text)
		m := MonthOf(d)
		if got := m.String() + " " + string(rune('0'+m.Days()/10)) + string(rune('0'+m.Days()%10)) + " " + m.Next().String(); got != want || DayOf(d.Time()) != d {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if d := DayOf(day(t, "1970-01-01").Time().Add(-1)); d != -1 {
		t.Errorf("the moment before is of day %d", d)
	}
	var d Day
	if err := d.UnmarshalText([]byte("2026-02-30")); err == nil || d != 0 {
		t.Error("there is a 30th of February")
	}
	if err := d.UnmarshalText([]byte("2026-12-01")); err != nil || d != december.First() {
		t.Error(err)
	}
	if text, err := d.MarshalText(); err != nil || string(text) != "2026-12-01" {
		t.Errorf("%s, %v", text, err)
	}
}

// TestJSONOfARating: what is written is read as the same, amounts as texts.
func TestJSONOfARating(t *testing.T) {
	p := parse(t, simple("KWD", tieredPlan))
	want := storage(t, p, gib(7, 31))
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	const line = `{"kind":"usage","plan":"simple","version":1,"from":"2026-12-01","to":"2027-01-01","description":"Storage, up to 10 GiB-month","meter":"storage_byte_ms",` +
		`"measured":"20131370709811200000","tier_from":"0","tier_to":"10","unit":"GiB-month","quantity":"2","exact":"2","unit_price":{"amount":"1.000","currency":"KWD"},"amount":{"amount":"2.000","currency":"KWD"}}`
	if !strings.HasPrefix(string(text), `{"month":"2026-12","plans":[{"plan":"simple","version":1,"digest":"`+p.Digest()+`"}],"lines":[{"kind":"included",`) || !strings.Contains(string(text), line) {
		t.Errorf("%s", text)
	}
	var got Rating
	if err := json.Unmarshal(text, &got); err != nil || amounts(got) != amounts(want) || got.Month != december {
		t.Errorf("%+v, %v", got, err)
	}
	if err := got.Month.UnmarshalText([]byte("2026-13")); err == nil || got.Month != december {
		t.Error("there is a thirteenth month")
	}
}
