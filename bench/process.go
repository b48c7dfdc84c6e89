package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memory is the resident memory of the daemon in bytes, now and at its peak.
func (d *daemon) memory() (now, peak float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.PID()))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the memory of the daemon: %w", err)
	}
	if now, err = statusField(text, "VmRSS:"); err != nil {
		return 0, 0, err
	}
	peak, err = statusField(text, "VmHWM:")
	return now, peak, err
}

// statusField reads a size from a file like /proc/PID/status.
func statusField(text []byte, name string) (float64, error) {
	for line := range bytes.Lines(text) {
		if f := strings.Fields(string(line)); len(f) == 3 && f[0] == name && f[2] == "kB" {
			n, err := strconv.ParseFloat(f[1], 64)
			return n * 1024, err
		}
	}
	return 0, fmt.Errorf("no %s in the status of the process", name)
}

// ticksPerSecond is the unit of CPU times in /proc on every Linux that Go
// runs on.
const ticksPerSecond = 100

// cpu is the processor time that the daemon has used, in seconds.
func (d *daemon) cpu() (float64, error) { return processCPU(d.PID()) }

// processCPU is the processor time that a process has used, in seconds.
func processCPU(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
	}
	return statCPU(string(text))
}

// statCPU reads a file like /proc/PID/stat. The second field is the name of
// the program in parentheses, which may hold anything.
func statCPU(text string) (float64, error) {
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 13 {
		return 0, fmt.Errorf("cannot read the processor time in %q", text)
	}
	user, err := strconv.ParseFloat(f[11], 64)
	if err != nil {
		return 0, fmt.Errorf("reading the processor time: %w", err)
	}
	system, err := strconv.ParseFloat(f[12], 64)
	if err != nil {
		return 0, fmt.Errorf("reading the processor time: %w", err)
	}
	return (user + system) / ticksPerSecond, nil
}
