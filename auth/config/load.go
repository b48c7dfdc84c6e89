package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxFile bounds the file, in bytes.
const maxFile = 1 << 20

// Load reads a file, sets the fields whose variables are in an environment, as os.Environ
// returns it, and validates what comes of it. Of a configuration with mistakes the error is
// Problems, and begins with the name of the file.
func Load(file string, environ []string) (Config, error) {
	text, err := readBounded(file)
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
	problems := c.decode(text)
	variables, more := c.applyEnv(environ)
	c.Folder, c.Database.Folder = folder, folder
	// What could not be read would be complained about for a value that nobody has written.
	if problems = append(problems, more...); len(problems) == 0 {
		problems = c.validate()
		problems.blame(variables)
	}
	return c, problems.err()
}

// JSON returns the configuration as it is written in a file, with all fields.
func (c Config) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return append(text, '\n'), nil
}

func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration %s: \"pin-gateway init\" writes one, --config names another", file)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes: it is not a configuration", file, maxFile)
	}
	return text, nil
}
