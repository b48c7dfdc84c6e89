package child

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Of returns the process id of the only child of a process. None, and more
// than one, is an error.
func Of(parent int) (int, error) {
	// Each thread has those that it started.
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		return 0, fmt.Errorf("list the threads of process %d: %w", parent, err)
	}
	var pids []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // else the thread has ended
			return 0, fmt.Errorf("list the children of process %d: %w", parent, err)
		}
		pids = append(pids, strings.Fields(string(text))...)
	}
	if len(pids) != 1 {
		return 0, fmt.Errorf("process %d has %d children %v, want one", parent, len(pids), pids)
	}
	return strconv.Atoi(pids[0])
}

// Runs tells whether a process is there and not a zombie: in a container
// nobody may reap what a process that was killed has left.
func Runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}
