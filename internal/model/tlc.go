package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// heap bounds each TLC. What does not fit, it keeps on disk.
const heap = "-Xmx1500m"

// tlc runs TLC on the models of a directory.
type tlc struct{ java, jar, dir string }

// result is what became of a check. err is set if it did not end as it should.
type result struct {
	check    check
	found    verdict
	distinct int64
	depth    int
	// taken is how often each action was taken, if the model holds.
	taken map[string]int64
	trace []string
	took  time.Duration
	err   error
}

// check runs one check in a directory of its own, which it removes.
func (t *tlc) check(ctx context.Context, c check) result {
	began := time.Now()
	out, err := t.run(ctx, c)
	r := parse(out)
	r.check, r.took = c, time.Since(began)
	if r.found.kind == property {
		r.found.name = c.expected.name // it is the only one, see effective
	}
	switch {
	case err != nil:
		r.err = err
	case r.found.kind == "":
		r.err = fmt.Errorf("TLC says neither that the model holds nor what it violates:\n%s", bytes.TrimSpace(out))
	case r.found != c.expected:
		r.err = fmt.Errorf("expected: %s", c.expected)
	}
	return r
}

// run returns what TLC prints.
func (t *tlc) run(ctx context.Context, c check) (out []byte, err error) {
	dir, err := os.MkdirTemp("", "ipfs-cluster-scylla-model-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for TLC: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := t.prepare(dir, c); err != nil {
		return nil, err
	}
	var printed bytes.Buffer
	cmd := exec.Command(t.java, t.arguments(dir, c)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &printed, &printed
	p, err := child.Start(cmd)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.Exited(): // its code only says what it has printed
	case <-ctx.Done():
		p.Kill()
		return nil, ctx.Err()
	}
	return printed.Bytes(), nil
}

// arguments are those of java. One worker goes through the states in one order, so
// that the counterexample is the shortest, and always the same.
func (t *tlc) arguments(dir string, c check) []string {
	args := []string{heap, "-XX:+UseSerialGC", "-Djava.io.tmpdir=" + dir}
	if c.expected.kind != holds {
		args = append(args, "-XX:TieredStopAtLevel=1") // it ends before a better compiler pays
	}
	args = append(args, "-cp", t.jar, "tlc2.TLC", "-tool", "-workers", "1", "-fp", "0", "-fpmem", "0.4", "-checkpoint", "0",
		"-metadir", filepath.Join(dir, "states"), "-config", effectiveName)
	if c.expected.kind == holds {
		args = append(args, "-coverage", "600") // minutes; and at the end
	}
	if c.expected.kind != deadlock {
		args = append(args, "-deadlock") // do not look for one: bounds end every model
	}
	return append(args, c.module+".tla")
}

// effectiveName is the file with the configuration that TLC gets.
const effectiveName = "effective.cfg"

// prepare copies the models, and writes the configuration of the check.
func (t *tlc) prepare(dir string, c check) error {
	models, err := filepath.Glob(filepath.Join(t.dir, "*.tla"))
	if err != nil {
		return fmt.Errorf("list the models: %w", err)
	}
	for _, m := range models {
		text, err := os.ReadFile(m)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(m)), text, 0o600)
		}
		if err != nil {
			return fmt.Errorf("copy a model: %w", err)
		}
	}
	config, err := c.configuration(t.dir)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, effectiveName), []byte(config), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// The codes of TLC's messages that say something here.
const (
	codeInvariantAtStart = 2107
	codeInvariant        = 2110
	codeDeadlock         = 2114
	codeProperty         = 2116
	codeSuccess          = 2193
	codeDepth            = 2194
	codeStates           = 2199
	codeTrace            = 2217
	codeTraceStutters    = 2218
	codeTraceLoops       = 2122
	codeAction           = 2772
)

var (
	message    = regexp.MustCompile(`(?s)@!@!@STARTMSG (\d+):\d+ @!@!@\n(.*?)\n?@!@!@ENDMSG \d+ @!@!@`)
	saysName   = regexp.MustCompile(`Invariant (\w+) is violated`)
	saysNumber = regexp.MustCompile(`\d[\d,]*`)
	saysStates = regexp.MustCompile(`([\d,]+) distinct states found`)
	spaces     = regexp.MustCompile(`\s+`)
	saysAction = regexp.MustCompile(`^<(\w+) line .*>: \d+:(\d+)`)
)

// parse reads what TLC prints with -tool.
func parse(out []byte) result {
	r := result{taken: make(map[string]int64)}
	for _, m := range message.FindAllSubmatch(out, -1) {
		code, _ := strconv.Atoi(string(m[1]))
		text := string(m[2])
		switch code {
		case codeInvariant, codeInvariantAtStart:
			if name := saysName.FindStringSubmatch(text); name != nil {
				r.found = verdict{invariant, name[1]}
			}
		case codeProperty:
			r.found = verdict{kind: property}
		case codeDeadlock:
			r.found = verdict{kind: deadlock}
		case codeSuccess:
			r.found = verdict{kind: holds}
		case codeDepth:
			r.depth = int(number(saysNumber.FindString(text)))
		case codeStates:
			if states := saysStates.FindStringSubmatch(text); states != nil {
				r.distinct = number(states[1])
			}
		case codeAction:
			if action := saysAction.FindStringSubmatch(text); action != nil {
				r.taken[action[1]] += number(action[2])
			}
		case codeTrace, codeTraceStutters, codeTraceLoops:
			r.trace = append(r.trace, strings.TrimSpace(text))
		}
	}
	if len(r.trace) > 0 {
		r.depth, r.trace = len(r.trace), differences(r.trace)
	}
	return r
}

// differences leaves of each state of a trace its title, and what is not as it was
// in the state before.
func differences(trace []string) []string {
	var out []string
	before := make(map[string]bool)
	for _, state := range trace {
		parts := strings.Split(state, "\n/\\ ")
		now := make(map[string]bool)
		text := parts[0]
		for _, part := range parts[1:] {
			now[part] = true
			if !before[part] {
				text += "\n    " + spaces.ReplaceAllString(part, " ")
			}
		}
		out, before = append(out, text), now
	}
	return out
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(strings.ReplaceAll(text, ",", ""), 10, 64)
	return n
}
