package source

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestUnknownTable: a table that a manifest does not have is never passed over
// without a word, as it may be full of pins.
func TestUnknownTable(t *testing.T) {
	for kind, refused := range map[string]bool{"pebble": false, "badger": true, "badger3": true} {
		t.Run(kind, func(t *testing.T) {
			p := stoppedCRDT(t, kind)
			ok(t, os.WriteFile(filepath.Join(p.folder, kind, "999999.sst"), []byte("a table"), 0o600))
			s, err := Open(t.Context(), "crdt:"+p.folder, Options{})
			if refused {
				wantError(t, err, "its manifest does not know the table 999999.sst")
				return
			}
			ok(t, err)
			defer s.Close()
			if !slices.ContainsFunc(s.Warnings(), func(w string) bool { return strings.Contains(w, "does not know the table 999999.sst") }) {
				t.Errorf("the warnings are %q", s.Warnings())
			}
			sameValues(t, readAll(t, s).values, p.want)
		})
	}
}

// TestDamagedTableOfBadger3: what badger checks in goroutines of its own ends in an
// error of one line as well, wherever a table is damaged.
func TestDamagedTableOfBadger3(t *testing.T) {
	p := stoppedCRDT(t, "badger3")
	tables, err := filepath.Glob(filepath.Join(p.folder, "badger3", "*.sst"))
	if ok(t, err); len(tables) == 0 {
		t.Fatal("there is no table")
	}
	whole, err := os.ReadFile(tables[0])
	ok(t, err)
	for _, at := range []int{1, 4, 5, 8, 20, 40, 80, 160, len(whole) / 2, len(whole)} {
		text := slices.Clone(whole)
		text[len(text)-at] ^= 0xff
		ok(t, os.WriteFile(tables[0], text, 0o600))
		_, err := Open(t.Context(), "crdt:"+p.folder, Options{})
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("byte %d from the end is another one: %v", at, err)
		}
	}
}

// TestExportOfPinWithoutType: what an export says of a pin that was stored without a
// type comes back as it was. A type that is unknown does not.
func TestExportOfPinWithoutType(t *testing.T) {
	const cid = `"cid":"QmYjNPRFDWY37XtQkvnbMj2ET1f5r4oTsqQNFQ2Gxnr5n1"`
	for text, want := range map[string]bool{
		`{"type":"bad-type",` + cid + `}`: true, `{"type":"other",` + cid + `}`: false, `{` + cid + `}`: false, `{"type":0,` + cid + `}`: false,
	} {
		if _, _, err := decodePin([]byte(text)); (err == nil) != want {
			t.Errorf("%s is read: %v", text, err)
		}
	}
}
