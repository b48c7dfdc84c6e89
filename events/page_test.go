package events

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"
)

const eventsPage = "../docs/events.md"

// page is what the template of docs/events.md is filled with.
type page struct {
	Families                                          []familyPart
	VersionField, AtField                             string
	MaxAttribute, MaxBytes, VersionDigits, TimeDigits int
	Shards                                            int
	Manifest, Resume, Replayed                        []fieldRow
	ManifestExample, ResumeExample, ReplayedExample   string
}

// familyPart is the part of the page on the types with the same data.
type familyPart struct {
	Heading, Intro string
	Types          []typeRow
	Structs        []structPart
	Examples       []string
	// Others are the other samples, by the names of their files.
	Others []string
}

type typeRow struct {
	Type    Type
	Meaning string
}

type structPart struct {
	Heading string
	Fields  []fieldRow
}

type fieldRow struct{ Name, JSON, Meaning string }

// TestEventsPage shows that docs/events.md is what the code says: the types, the
// fields, their comments, the golden files. With -update it writes the page.
func TestEventsPage(t *testing.T) {
	var sources []string
	for _, name := range []string{"type.go", "data.go", "manifest.go"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, string(source))
	}
	comments, err := readComments(sources...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPage(t, comments)
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := template.ParseFiles("testdata/events.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := tmpl.Execute(&text, p); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(eventsPage, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(eventsPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(committed, text.Bytes()) {
		t.Errorf("docs/events.md is not what the code says, run: go generate ./events\n%s", firstDifference(string(committed), text.String()))
	}
}

func firstDifference(old, current string) string {
	a, b := strings.Split(old, "\n"), strings.Split(current, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d\n in the file: %s\n in the code: %s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines in the file, %d in the code", len(a), len(b))
}

func newPage(t *testing.T, c comments) (page, error) {
	p := page{
		MaxAttribute: MaxAttribute, MaxBytes: MaxBytes, VersionDigits: versionDigits, TimeDigits: timeDigits, Shards: Shards,
		VersionField: jsonName(reflect.TypeFor[PinData](), "Version"), AtField: jsonName(reflect.TypeFor[StatusData](), "At"),
		ManifestExample: example(t, "feed.manifest"), ResumeExample: example(t, "feed.resume-again"),
		ReplayedExample: example(t, "feed.replayed"),
	}
	var err error
	if p.Manifest, err = fieldRows(c, reflect.TypeFor[Manifest](), reflect.TypeFor[position]()); err != nil {
		return p, err
	}
	if p.Resume, err = fieldRows(c, reflect.TypeFor[Resume](), reflect.TypeFor[position]()); err != nil {
		return p, err
	}
	if p.Replayed, err = fieldRows(c, reflect.TypeFor[Replayed](), reflect.TypeFor[position]()); err != nil {
		return p, err
	}
	for _, f := range []struct {
		family         family
		heading, intro string
		data           []reflect.Type
		examples       []string
	}{
		{pinFamily, "Pins", "What was written to the pinset. `id` is made of the CID and the version.",
			[]reflect.Type{reflect.TypeFor[PinData](), reflect.TypeFor[Pin]()}, []string{"pin.accepted", "pin.unpinned"}},
		{statusFamily, "Pins at a peer", "What one peer did with a pin. `id` is made of the CID, the version, the peer, the kind and `at`.",
			[]reflect.Type{reflect.TypeFor[StatusData]()}, []string{"pin.sized"}},
		{peerFamily, "Peers", "What became of a peer. `id` is made of the peer, the incarnation, the kind and `at`.",
			[]reflect.Type{reflect.TypeFor[PeerData]()}, []string{"peer.died"}},
		{claimFamily, "Claims", "What the owners want pinned. They are told by a gateway, in a stream of their own: [receiving-events.md](receiving-events.md#claims). `id` is made of the owner, the request and the kind.",
			[]reflect.Type{reflect.TypeFor[ClaimData]()}, []string{"claim.added", "claim.removed"}},
	} {
		part := familyPart{Heading: f.heading, Intro: f.intro}
		for _, typ := range Types() {
			if typ.family() == f.family {
				if c.types[typ] == "" {
					return p, fmt.Errorf("%s has no doc comment", typ)
				}
				part.Types = append(part.Types, typeRow{typ, c.types[typ]})
			}
		}
		for i, data := range f.data {
			rows, err := fieldRows(c, data, data)
			if err != nil {
				return p, err
			}
			heading := "`data`:"
			if i > 0 {
				heading = "`data." + strings.ToLower(data.Name()) + "`:"
			}
			part.Structs = append(part.Structs, structPart{heading, rows})
		}
		for _, name := range f.examples {
			part.Examples = append(part.Examples, example(t, name))
		}
		for name, e := range samples() {
			if e.Type.family() == f.family && !slices.Contains(f.examples, name) {
				part.Others = append(part.Others, name)
			}
		}
		slices.Sort(part.Others)
		p.Families = append(p.Families, part)
	}
	return p, nil
}

// example is the golden file of that name.
func example(t *testing.T, name string) string { return strings.TrimSpace(string(readGolden(t, name))) }

func jsonName(t reflect.Type, field string) string {
	f, _ := t.FieldByName(field)
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// fieldRows returns a row for each field of a struct, which wire writes.
func fieldRows(c comments, t, wire reflect.Type) ([]fieldRow, error) {
	var rows []fieldRow
	for i := range t.NumField() {
		f := t.Field(i)
		written, ok := wire.FieldByName(f.Name)
		name, options, _ := strings.Cut(written.Tag.Get("json"), ",")
		meaning := c.fields[t.Name()+"."+f.Name]
		if !ok || name == "" || meaning == "" {
			return nil, fmt.Errorf("an undocumented field: %s.%s has no doc comment or no JSON name", t.Name(), f.Name)
		}
		kind := jsonKind(f.Type)
		if options != "" && t == wire {
			kind += ", may be missing"
		}
		rows = append(rows, fieldRow{name, kind, meaning})
	}
	return rows, nil
}

func jsonKind(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "string, RFC 3339"
	case t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Slice:
		return "array of strings"
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Map:
		return "object"
	}
	return "number"
}
