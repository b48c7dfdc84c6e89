package invoice

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the files in testdata")

// forms are those that a person or a program reads as text.
var forms = map[string]func(Copy, io.Writer) error{"json": Copy.JSON, "html": Copy.HTML, "csv": Copy.CSV}

// What is written is what was looked at by a person.
func TestGolden(t *testing.T) {
	for name, c := range copies(t) {
		for form, write := range forms {
			var text bytes.Buffer
			if err := write(c, &text); err != nil {
				t.Errorf("%s as %s: %v", name, form, err)
				continue
			}
			file := filepath.Join("testdata", name+"."+form)
			if *update {
				if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(text.Bytes(), want) {
				t.Errorf("%s is another (go test ./billing/invoice -run TestGolden -update writes it):\n%s", file, text.Bytes())
			}
		}
	}
}
