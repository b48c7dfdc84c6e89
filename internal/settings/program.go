package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
)

// maxFile bounds the file, in bytes.
const maxFile = 1 << 20

// Program is whose configuration it is.
type Program struct {
	// Name is that of the command, as "pin-gateway".
	Name string
	// Prefix is what the names of all its environment variables begin with, as "PIN_GATEWAY_".
	Prefix string
}

// Decode sets what the text of a file has in a configuration, a pointer to a struct, and then the
// fields whose variables are in an environment, as os.Environ returns it. What neither has stays.
// It returns all that is wrong, and the variables that have set something, by the paths of their
// fields, for Problems.Blame.
func (p Program) Decode(text []byte, environ []string, into any) (Problems, map[string]string) {
	to := reflect.ValueOf(into).Elem()
	problems := decode(text, to)
	variables, more := p.applyEnv(environ, to)
	return append(problems, more...), variables
}

// ReadFile returns what is in the file of a configuration.
func (p Program) ReadFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration %s: \"%s init\" writes one, --config names another", file, p.Name)
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

// JSON returns a configuration as it is written in a file, with all fields.
func JSON(configuration any) ([]byte, error) {
	text, err := json.MarshalIndent(configuration, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return append(text, '\n'), nil
}

// Resolve returns the name of a file, which starts at a folder unless it is absolute, as seen from
// the working directory. An empty name stays empty.
func Resolve(folder, file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(folder, file)
}
