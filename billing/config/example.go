package config

import (
	"crypto/rand"
	_ "embed" // the example
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/settings"
)

//go:embed example.json
var example string

// tokenBytes is how many random bytes a token has.
const tokenBytes = 32

// Example returns a configuration to begin with, to be written to the file of that name, by which is
// billed since the midnight after a time, and the files that it names, in the same folder, with new
// secrets in them.
func Example(name string, now time.Time) ([]settings.NewFile, error) {
	files := []settings.NewFile{{Name: name, Text: []byte(strings.Replace(example, "SINCE", now.UTC().AddDate(0, 0, 1).Format(time.DateOnly)+"T00:00:00Z", 1))}}
	for _, token := range []string{"gateway-token", "operator-token"} {
		secret := make([]byte, tokenBytes)
		if _, err := rand.Read(secret); err != nil {
			return nil, fmt.Errorf("making a token: %w", err)
		}
		files = append(files, settings.NewFile{Name: token, Text: []byte(hex.EncodeToString(secret) + "\n")})
	}
	return files, nil
}
