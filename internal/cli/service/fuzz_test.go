package service

import (
	"bytes"
	"testing"
)

// FuzzReadPins feeds arbitrary bytes to the reader of imports: it never panics,
// it ends, an error is the last item, and lines are those of the input.
func FuzzReadPins(f *testing.F) {
	f.Add([]byte(`{"cid":"QmYjNPRFDWY37XtQkvnbMj2ET1f5r4oTsqQNFQ2Gxnr5n1","type":"pin","allocations":[]}` + "\n"))
	f.Add([]byte("\n\n{}\n[1]\n"))
	f.Add([]byte(`{"cid":`))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := bytes.Count(data, []byte("\n")) + 1
		last, failed := 0, false
		for item := range readPins(t.Context(), bytes.NewReader(data)) {
			if failed {
				t.Fatal("something follows an error")
			}
			if failed = item.err != nil; failed {
				continue
			}
			if item.line < last || item.line > lines {
				t.Fatalf("a pin on line %d after one on line %d, of %d lines", item.line, last, lines)
			}
			last = item.line
			if err := checkPin(item.pin); err != nil {
				t.Fatalf("a pin that is none was read: %v", err)
			}
		}
	})
}
