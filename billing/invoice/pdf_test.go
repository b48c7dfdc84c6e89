package invoice

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// pdf returns a copy as PDF.
func pdf(tb testing.TB, c Copy) []byte {
	tb.Helper()
	var file bytes.Buffer
	if err := c.PDF(&file); err != nil {
		tb.Fatal(err)
	}
	return file.Bytes()
}

// The same copy has the same bytes, whenever it is written.
func TestPDFIsStable(t *testing.T) {
	all := copies(t)
	all["hostile"] = hostileCopy(t)
	for name, c := range all {
		first := pdf(t, c)
		for range 3 {
			if !bytes.Equal(pdf(t, c), first) {
				t.Errorf("%s is another each time", name)
			}
		}
		// Neither is from the clock, which may show the same second again.
		for _, key := range []string{"CreationDate", "ModDate"} {
			if !bytes.Contains(first, []byte("/"+key+" (D:20261201000000)")) {
				t.Errorf("%s has another %s", name, key)
			}
		}
	}
}

// A PDF says what the page says.
func TestPDFText(t *testing.T) {
	all := copies(t)
	all["hostile"] = hostileCopy(t)
	for name, c := range all {
		file := pdf(t, c)
		leave(t, name+".pdf", file)
		whole := textOf(t, file)
		pages := strings.Count(whole, "\f") // there is one after each
		text := strings.Join(strings.Fields(whole), " ")
		if name == "hostile" {
			continue
		}
		s, err := c.sheet()
		if err != nil {
			t.Fatal(err)
		}
		want := []string{s.Title, s.Stamp, s.Due.Name, s.Due.Value, fmt.Sprintf("Page 1 of %d", pages), fmt.Sprintf("Page %d of %d", pages, pages)}
		for _, l := range s.Lines {
			want = append(want, l.Amount, l.Quantity, l.Unit, l.Price)
		}
		for _, f := range s.Facts {
			want = append(want, f.Name, f.Value)
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s lacks %q in %q", name, w, text)
			}
		}
	}
}
