package source

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// unknownTable returns the name of a table in the folder of an engine that the
// engine does not know, and empty when it knows all of them. What was written last to
// a manifest may be lost without a trace, and pins with it.
func unknownTable(folder string, known map[uint64]bool) (string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		text, isTable := strings.CutSuffix(entry.Name(), ".sst")
		if !isTable {
			continue
		}
		if id, err := strconv.ParseUint(text, 10, 64); err == nil && !known[id] {
			return entry.Name(), nil
		}
	}
	return "", nil
}

// knowsTables returns an error when there is a table that the manifest does not have:
// the badgers remove those that they do not need at once.
func knowsTables(folder string, known map[uint64]bool) error {
	name, err := unknownTable(folder, known)
	if err == nil && name != "" {
		err = &unclean{fmt.Errorf("its manifest does not know the table %s", name)}
	}
	return err
}
