package config

import (
	_ "embed" // the example
	"fmt"
	"path/filepath"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/settings"
)

// Prefix is what the names of all environment variables begin with.
const Prefix = "PIN_BILLING_"

// FileVariable has the name of the file, in place of the flag --config.
const FileVariable = Prefix + "CONFIG"

// LevelVariable has the levels of what is logged, in place of the flag --loglevel.
const LevelVariable = Prefix + "LOGLEVEL"

// Program is what the configuration is of.
func Program() settings.Program { return settings.Program{Name: "pin-billing", Prefix: Prefix} }

// Load reads a file, sets the fields whose variables are in an environment, as os.Environ
// returns it, and validates what comes of it. Of a configuration with mistakes the error is
// settings.Problems, and begins with the name of the file.
func Load(file string, environ []string) (Config, error) {
	text, err := Program().ReadFile(file)
	if err != nil {
		return Config{}, err
	}
	c, err := Parse(text, filepath.Dir(file), environ)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// Parse is Load of the text of a file in a folder.
func Parse(text []byte, folder string, environ []string) (Config, error) {
	c := Default()
	problems, variables := Program().Decode(text, environ, &c)
	c.Folder, c.Database.Folder = folder, folder
	// What could not be read would be complained about for a value that nobody has written.
	if len(problems) == 0 {
		problems = c.validate()
		problems.Blame(variables)
	}
	return c, problems.Err()
}

// JSON returns the configuration as it is written in a file, with all fields.
func (c Config) JSON() ([]byte, error) { return settings.JSON(c) }
