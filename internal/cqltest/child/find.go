package child

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Of returns the process id of the only child of a process. None, and more
// than one, is an error.
func Of(parent int) (int, error) {
	pids, err := children(parent)
	if err != nil {
		return 0, err
	}
	if len(pids) != 1 {
		return 0, fmt.Errorf("process %d has %d children %v, want one", parent, len(pids), pids)
	}
	return pids[0], nil
}

// Tree returns a process and all that it has started, itself or by others, as far
// as they run. Who starts a process at that moment may be returned without it.
func Tree(root int) ([]int, error) {
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		pids, err := children(tree[i])
		if err != nil {
			return tree, err
		}
		tree = append(tree, pids...)
	}
	return tree, nil
}

func children(parent int) ([]int, error) {
	// Each thread has those that it started.
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		return nil, fmt.Errorf("list the threads of process %d: %w", parent, err)
	}
	var pids []int
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH) { // else the thread has ended
			return nil, fmt.Errorf("list the children of process %d: %w", parent, err)
		}
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("list the children of process %d: %w", parent, err)
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// Runs tells whether a process is there and not a zombie: in a container
// nobody may reap what a process that was killed has left.
func Runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}
