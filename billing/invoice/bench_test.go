package invoice

import (
	"io"
	"testing"
)

// BenchmarkForms says what the forms of an invoice of five lines, with its explanation, take.
func BenchmarkForms(b *testing.B) {
	c := copies(b)["usd"]
	all := map[string]func(Copy, io.Writer) error{"pdf": Copy.PDF}
	for name, write := range forms {
		all[name] = write
	}
	for name, write := range all {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := write(c, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
