package events

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

//go:generate go test -run=^(TestGolden|TestEventsPage)$ -update

var update = flag.Bool("update", false, "write testdata/events and docs/events.md")

const goldenFolder = "../testdata/events"

// positions returns the messages beside the events, by the name of the golden file.
func positions() map[string]interface{ Encode() ([]byte, error) } {
	return map[string]interface{ Encode() ([]byte, error) }{
		"feed.manifest":     Manifest{Shard: 3, Epoch: 12, N: 4711, Through: sampleTime().Add(time.Minute), Latest: sampleTime().Add(time.Minute + 2*time.Second)},
		"feed.resume":       Resume{Shard: 3, Epoch: 13, From: sampleTime().Add(time.Minute)},
		"feed.resume-again": Resume{Shard: 3, Epoch: 13, From: sampleTime().Add(2 * time.Minute), After: 640, N: 1152},
		"feed.replayed":     Replayed{Shard: 3, Epoch: 13, Replay: "3-13-1", N: 17, From: sampleTime(), Through: sampleTime().Add(time.Minute)},
	}
}

// TestGolden shows that what is on the wire does not change: every file is what is
// encoded, and is read as what was encoded. A file that changes is a new version of
// its type, unless a field was added.
func TestGolden(t *testing.T) {
	files := make(map[string]bool)
	for name, e := range samples() {
		files[name] = true
		checkGolden(t, name, encode(t, e))
		if got, err := Parse(readGolden(t, name)); err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%s: read as %+v, %v, want %+v", name, got, err, e)
		}
	}
	for name, p := range positions() {
		files[name] = true
		checkGolden(t, name, encode(t, p))
		var got any
		var err error
		switch p.(type) {
		case Manifest:
			got, err = ParseManifest(readGolden(t, name))
		case Resume:
			got, err = ParseResume(readGolden(t, name))
		default:
			got, err = ParseReplayed(readGolden(t, name))
		}
		if err != nil || got != p {
			t.Errorf("%s: read as %+v, %v, want %+v", name, got, err, p)
		}
	}
	found, err := filepath.Glob(goldenFolder + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range found {
		if !files[strings.TrimSuffix(filepath.Base(file), ".json")] {
			t.Errorf("%s is no sample's", file)
		}
	}
}

func readGolden(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(goldenFolder, name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// checkGolden compares a message with its file, which is indented.
func checkGolden(t *testing.T, name string, encoded []byte) {
	t.Helper()
	if *update {
		var indented bytes.Buffer
		if err := json.Indent(&indented, encoded, "", "  "); err != nil {
			t.Fatal(err)
		}
		indented.WriteByte('\n')
		if err := os.WriteFile(filepath.Join(goldenFolder, name+".json"), indented.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var want bytes.Buffer
	if err := json.Compact(&want, readGolden(t, name)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded, want.Bytes()) {
		t.Errorf("%s is not what its file says, run: go generate ./events\n got %s\nwant %s", name, encoded, want.Bytes())
	}
}

// TestSamplesAreFull shows that the golden files name every field.
func TestSamplesAreFull(t *testing.T) {
	set := make(map[string]bool)
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			name := path + v.Type().Field(i).Name
			set[name] = set[name] || !v.Field(i).IsZero()
			walk(v.Field(i), name+".")
		}
	}
	for _, e := range samples() {
		walk(reflect.ValueOf(e), "")
	}
	for name, isSet := range set {
		if !isSet {
			t.Errorf("no sample has %s", name)
		}
	}
	if len(set) < 30 {
		t.Errorf("%d fields were looked at", len(set))
	}
}
