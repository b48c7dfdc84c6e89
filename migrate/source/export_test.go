package source

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/klauspost/compress/zstd"
)

// exportOf writes pins as upstream's `state export` does: those that a state
// has. Samples without a type, which it cannot have, are left out.
func exportOf(tb testing.TB, pins []api.Pin) (text []byte, want map[string][]byte) {
	tb.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	want = make(map[string][]byte)
	for _, pin := range pins {
		switch pin.Type {
		case api.DataType, api.MetaType, api.ClusterDAGType, api.ShardType:
			var stored api.Pin
			ok(tb, stored.ProtoUnmarshal(valueOf(tb, pin)))
			stored.Cid = pin.Cid
			ok(tb, enc.Encode(stored))
			// What `state import` adds to the state it has read from this.
			want[pin.Cid.String()] = valueOf(tb, stored)
		}
	}
	return b.Bytes(), want
}

func gz(tb testing.TB, text []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	for _, half := range [][]byte{text[:len(text)/2], text[len(text)/2:]} { // two members
		w := gzip.NewWriter(&b)
		_, err := w.Write(half)
		ok(tb, err)
		ok(tb, w.Close())
	}
	return b.Bytes()
}

func zst(tb testing.TB, text []byte, options ...zstd.EOption) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, options...)
	ok(tb, err)
	_, err = w.Write(text)
	ok(tb, err)
	ok(tb, w.Close())
	return b.Bytes()
}

func exportFile(t *testing.T, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "export")
	ok(t, os.WriteFile(name, content, 0o600))
	return name
}

func TestExport(t *testing.T) {
	text, want := exportOf(t, samplePins(t, 200))
	for name, content := range map[string][]byte{
		"plain": text, "gzip": gz(t, text), "zstd": zst(t, text),
		"zstd with a large window": zst(t, text, zstd.WithWindowSize(64<<20), zstd.WithSingleSegment(false)),
		"zstd after another frame": append([]byte{0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'x', 'y'}, zst(t, text)...),
		"Windows":                  bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
		"blank lines":              bytes.ReplaceAll(text, []byte("\n"), []byte("\n\n \n")),
		"no end of the last line":  bytes.TrimSpace(text),
	} {
		t.Run(name, func(t *testing.T) {
			file := exportFile(t, content)
			s := open(t, "export:"+file)
			got := readAll(t, s)
			sameValues(t, got.values, want)
			if len(got.bad) > 0 || len(got.records) != len(want) {
				t.Errorf("%d records and %v", len(got.records), got.bad)
			}
			counts(t, s, len(want))
			resumes(t, s, 13)
			before := s.Fingerprint()
			now := time.Now().Add(time.Hour)
			ok(t, os.Chtimes(file, now, now))
			if s := open(t, "export:"+file); s.Fingerprint() == before || s.ID() != "export:"+file {
				t.Errorf("ID %q, fingerprint %q", s.ID(), s.Fingerprint())
			}

			stdin, err := Open(t.Context(), "export:-", Options{Stdin: bytes.NewReader(content)})
			ok(t, err)
			if stdin.ID() != "export:-" || stdin.Fingerprint() != "" {
				t.Errorf("ID %q, fingerprint %q", stdin.ID(), stdin.Fingerprint())
			}
			if n, err := stdin.Count(t.Context(), nil); n >= 0 || err != nil {
				t.Errorf("counted %d, %v", n, err)
			}
			sameValues(t, readAll(t, stdin).values, want)
			wantError(t, stdin.Read(t.Context(), Position{}, nil, nil), "only once")
		})
	}
}

// TestExportBadLines are named, and the rest is read.
func TestExportBadLines(t *testing.T) {
	text, want := exportOf(t, samplePins(t, 3))
	good := strings.SplitAfter(strings.TrimSpace(string(text)), "\n")
	first := good[0]
	bad := []string{
		"{}\n", `{"cid":null,"type":"pin"}` + "\n", "nonsense\n", `{"cid":` + "\n",
		strings.Replace(first, `"type":"pin"`, `"type":"what"`, 1),
		strings.Replace(first, `"type":"pin"`, `"type":2`, 1),
		strings.Replace(first, `"type":"pin",`, ``, 1),
		strings.Replace(first, `"cid":"b`, `"cid":"bx`, 1),
		strings.Replace(first, `"allocations":["`, `"allocations":["x`, 1),
		strings.TrimSpace(first) + strings.TrimSpace(first) + "\n",
		`{"version":2,"entries":[1,2]}` + "\n",
	}
	lines := first + "\n"
	for _, b := range bad {
		if b == first {
			t.Fatalf("%s is not bad", b)
		}
		lines += b
	}
	lines += strings.Join(good[1:], "")
	s := open(t, "export:"+exportFile(t, []byte(lines)))
	got := readAll(t, s)
	sameValues(t, got.values, want)
	if len(got.bad) != len(bad) {
		t.Fatalf("%d bad lines, want %d: %v", len(got.bad), len(bad), got.bad)
	}
	for i, b := range got.bad {
		if b.At != fmt.Sprint("line ", i+3) || b.After.Records != int64(i+2) {
			t.Errorf("bad line %d is at %s, record %d: %v", i, b.At, b.After.Records, b.Err)
		}
		rest, err := readFrom(t, s, b.After)
		ok(t, err)
		if len(rest.bad) != len(bad)-i-1 || len(rest.records) != len(got.records)-1 {
			t.Errorf("%d bad lines and %d records after %s", len(rest.bad), len(rest.records), b.At)
		}
	}
	counts(t, s, len(bad)+len(got.records))
}

// TestCutExportIsNotWhole: wherever it was cut, except between two lines, and in
// whatever way it is packed.
func TestCutExportIsNotWhole(t *testing.T) {
	text, want := exportOf(t, samplePins(t, 100))
	for name, content := range map[string][]byte{"plain": text, "gzip": gz(t, text), "zstd": zst(t, text)} {
		t.Run(name, func(t *testing.T) {
			for range 60 {
				at := 20 + rand.IntN(len(content)-21)
				if name == "plain" && (content[at-1] == '\n' || content[at] == '\n') {
					continue
				}
				s := open(t, "export:"+exportFile(t, content[:at]))
				got, err := readFrom(t, s, Position{})
				wantError(t, err, "not whole")
				if name == "plain" && len(got.bad) != 1 {
					t.Errorf("cut at %d: %v", at, got.bad)
				}
				for c, value := range got.values {
					if !bytes.Equal(value, want[c]) {
						t.Errorf("cut at %d: %s is another one", at, c)
					}
				}
				if n := len(got.records); n > 0 { // also when it goes on there
					_, err := readFrom(t, s, got.records[n-1].After)
					wantError(t, err, "not whole")
				}
			}
		})
	}
}

func TestDamagedPackingIsAnError(t *testing.T) {
	text, _ := exportOf(t, samplePins(t, 100))
	packed := gz(t, text)
	packed[len(packed)-6] ^= 1 // of the checksum
	_, err := readFrom(t, open(t, "export:"+exportFile(t, packed)), Position{})
	wantError(t, err, "damaged")
	packed = zst(t, text)
	packed[len(packed)-1] ^= 1
	_, err = readFrom(t, open(t, "export:"+exportFile(t, packed)), Position{})
	wantError(t, err, "damaged")
	_, err = readFrom(t, open(t, "export:"+exportFile(t, []byte("\x28\xb5\x2f\xfd\x00\x98\x01\x00\x00"))), Position{})
	wantError(t, err, "window")
}

func TestFilesThatAreNoExport(t *testing.T) {
	text, _ := exportOf(t, samplePins(t, 2))
	var pretty bytes.Buffer
	for line := range bytes.Lines(text) {
		ok(t, json.Indent(&pretty, line, "", "  "))
	}
	for want, content := range map[string][]byte{
		"no export of pins":                   []byte("\x7fELF\x00\x00\n"),
		"jq -c '.[]'":                         []byte(" [" + string(bytes.ReplaceAll(bytes.TrimSpace(text), []byte("\n"), []byte(",")))),
		"jq -c .`":                            pretty.Bytes(),
		"line 2 is longer than 16 MiB":        append([]byte("{}\n"), bytes.Repeat([]byte("x"), longestLine+1)...),
		"ends in the middle of what is pack":  gz(t, text)[:9],
		"unpacking an export: the file is da": {0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff, 0xff},
	} {
		s := open(t, "export:"+exportFile(t, content))
		_, err := readFrom(t, s, Position{})
		wantError(t, err, want)
	}
	for want, from := range map[string]string{
		"it is a folder":        "export:" + t.TempDir(),
		"there is no such file": "export:" + filepath.Join(t.TempDir(), "nothing"),
		"no ordinary file":      "export:" + os.DevNull,
		"no standard input":     "export:-",
	} {
		_, err := Open(t.Context(), from, Options{})
		wantError(t, err, want)
	}
	for _, empty := range []string{"", "\n", " \n\n"} {
		s := open(t, "export:"+exportFile(t, []byte(empty)))
		if got := readAll(t, s); len(got.records)+len(got.bad) > 0 {
			t.Errorf("%q has %v", empty, got)
		}
		counts(t, s, 0)
	}
}

func TestLongLines(t *testing.T) {
	pin := samplePins(t, 1)[0]
	pin.Metadata = map[string]string{"long": strings.Repeat("x", 3*bufferSize)}
	text, want := exportOf(t, []api.Pin{pin, samplePins(t, 1)[1], pin})
	s := open(t, "export:"+exportFile(t, text))
	sameValues(t, readAll(t, s).values, want)
	resumes(t, s, 1)
}

func TestExportEndsWithItsCaller(t *testing.T) {
	text, _ := exportOf(t, samplePins(t, 2))
	s := open(t, "export:"+exportFile(t, append([]byte("{}\n"), text...)))
	err := s.Read(t.Context(), Position{}, nil, func(Bad) error { return errStop })
	if !errors.Is(err, errStop) {
		t.Error(err)
	}
	err = s.Read(t.Context(), Position{}, func(Record) error { return io.EOF }, func(Bad) error { return nil })
	if !errors.Is(err, io.EOF) || strings.Contains(err.Error(), "whole") {
		t.Error(err)
	}
	if _, err := s.Count(canceled(t), nil); !errors.Is(err, canceled(t).Err()) {
		t.Error(err)
	}
	wantError(t, s.Read(t.Context(), Position{Key: []byte{0x80}}, nil, nil), "no position")
}

// FuzzExport feeds arbitrary bytes to the reader of exports: it never panics,
// counts what it reads, and says the same when it goes on in the middle.
func FuzzExport(f *testing.F) {
	pins := samplePins(f, 2) // the last ones are small
	text, _ := exportOf(f, pins[len(pins)-2:])
	f.Add(text)
	f.Add(gz(f, text))
	f.Add(zst(f, text))
	f.Add(text[:len(text)/2])
	f.Add([]byte("{}\n\nnull\n{"))
	f.Fuzz(func(t *testing.T, content []byte) {
		s := open(t, "export:"+exportFile(t, content))
		got, err := readFrom(t, s, Position{})
		n, countErr := s.Count(t.Context(), func(int64) {})
		if err == nil && (countErr != nil || n != int64(len(got.records)+len(got.bad))) {
			t.Fatalf("%d records, %d bad ones, counted %d, %v", len(got.records), len(got.bad), n, countErr)
		}
		if len(got.records) == 0 {
			return
		}
		middle := got.records[len(got.records)/2]
		rest, restErr := readFrom(t, s, middle.After)
		all := maps.Clone(rest.values)
		for _, r := range got.records[len(got.records)/2+1:] {
			delete(all, r.Cid.String())
		}
		if (err == nil) != (restErr == nil) || len(rest.records) != len(got.records)-len(got.records)/2-1 || len(all) > 0 {
			t.Fatalf("%d of %d records after half of them, %v and %v", len(rest.records), len(got.records), err, restErr)
		}
	})
}
