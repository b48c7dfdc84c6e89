package settings

import "fmt"

// NewFile is a file that does not exist yet. Printing it shows its name only.
type NewFile struct {
	Name string
	Text []byte
}

// Format writes the name of the file, whatever the verb.
func (n NewFile) Format(f fmt.State, _ rune) { fmt.Fprint(f, n.Name) }
