package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func appendEvent(ctx context.Context, f *File, id string) error {
	e := event("alice", "t1")
	return f.Append(ctx, Record{Kind: Intent, ID: id, Event: &e})
}

// faulty is an output whose faults a test sets.
type faulty struct {
	output
	syncs  *atomic.Int64
	gate   chan struct{}                           // Sync waits for it, if it is not nil
	write  func(out output, p []byte) (int, error) // nil means out.Write
	sync   func() error
	shrink func() error
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.write != nil {
		return f.write(f.output, p)
	}
	return f.output.Write(p)
}

func (f *faulty) Sync() error {
	if f.gate != nil {
		<-f.gate
	}
	f.syncs.Add(1)
	if f.sync != nil {
		if err := f.sync(); err != nil {
			return err
		}
	}
	return f.output.Sync()
}

func (f *faulty) Truncate(size int64) error {
	if f.shrink != nil {
		if err := f.shrink(); err != nil {
			return err
		}
	}
	return f.output.Truncate(size)
}

// faultyFile opens a file with an output that can be made to fail.
func faultyFile(t testing.TB, dir string) (*File, *faulty) {
	t.Helper()
	out := &faulty{syncs: new(atomic.Int64)}
	f := openFile(t, FileOptions{Dir: dir, Now: newClock().now, open: func(path string) (output, error) {
		var err error
		out.output, err = openOutput(path)
		return out, err
	}})
	return f, out
}

// Records that wait at the same moment share one write to disk.
func TestGroupCommit(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f, out := faultyFile(t, dir)
		out.gate = make(chan struct{})
		before := out.syncs.Load()
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				if err := appendEvent(t.Context(), f, fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // one batch at the gate, the others wait
		close(out.gate)
		wg.Wait()
		if n := out.syncs.Load() - before; n > 2 {
			t.Errorf("500 records took %d writes to disk", n)
		}
		closeFile(t, f)
	})
	report := mustBeIntact(t, dir, nil)
	if report.Writers[0].Last != 502 { // with start and checkpoint
		t.Errorf("%+v", report)
	}
}

// Append returns after the record is durable, not before.
func TestAppendIsDurable(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f, out := faultyFile(t, dir)
		out.gate = make(chan struct{})
		done := make(chan error, 1)
		go func() { done <- appendEvent(t.Context(), f, "a") }()
		synctest.Wait()
		if len(done) > 0 {
			t.Error("it returned before the record was on disk")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := appendEvent(ctx, f, "b"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a disk that hangs: %v", err)
		}
		close(out.gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
		closeFile(t, f)
	})
	mustBeIntact(t, dir, nil)
}

// What fails leaves nothing in the files, and what follows is in order.
func TestFaults(t *testing.T) {
	full := errors.New("no space left")
	for name, fault := range map[string]func(out *faulty){
		"write": func(out *faulty) { out.write = func(output, []byte) (int, error) { return 0, full } },
		"half a write": func(out *faulty) {
			out.write = func(real output, p []byte) (int, error) {
				n, err := real.Write(p[:len(p)/2])
				return n, errors.Join(err, full)
			}
		},
		"sync":     func(out *faulty) { out.sync = func() error { return full } },
		"truncate": func(out *faulty) { out.sync = func() error { return full }; out.shrink = func() error { return full } },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f, out := faultyFile(t, dir)
			if err := appendEvent(t.Context(), f, "good-1"); err != nil {
				t.Fatal(err)
			}
			fault(out)
			for range 3 {
				if err := appendEvent(t.Context(), f, "bad"); !errors.Is(err, full) {
					t.Fatalf("it did not fail: %v", err)
				}
			}
			out.write, out.sync, out.shrink = nil, nil, nil
			if err := appendEvent(t.Context(), f, "good-2"); err != nil {
				t.Fatal(err)
			}
			closeFile(t, f)
			mustBeIntact(t, dir, nil)
			text := strings.Join(readAll(t, files(t, dir)[0].path), "")
			if strings.Contains(text, `"bad"`) || !strings.Contains(text, `"good-1"`) || !strings.Contains(text, `"good-2"`) {
				t.Error(text)
			}
		})
	}
}

// A record that cannot be written fails alone.
func TestOneBadRecord(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, FileOptions{Dir: dir})
	if err := f.Append(t.Context(), Record{Kind: Intent, ID: strings.Repeat("x", MaxLine)}); err == nil {
		t.Error("a record without bound")
	}
	if err := appendEvent(t.Context(), f, "a"); err != nil {
		t.Error(err)
	}
	closeFile(t, f)
	if err := appendEvent(t.Context(), f, "b"); err == nil {
		t.Error("appended to a closed file")
	}
	mustBeIntact(t, dir, nil)
}

// A crash may stop a write anywhere: what was durable stays, what is incomplete is moved
// aside, and the chain goes on.
func TestTornLine(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, FileOptions{Dir: dir, Now: newClock().now})
	fill(t, f, 2)
	closeFile(t, f)
	path := files(t, dir)[0].path
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := readAll(t, path)
	from := len(text) - len(lines[len(lines)-1]) - len(lines[len(lines)-2])
	cuts := []int{0, 1, from, from + 1, len(text) - 1, len(text)}
	for n := from + 2; n < len(text); n += 199 {
		cuts = append(cuts, n)
	}
	for _, n := range cuts {
		for _, garbage := range []string{"", "\x00\n\x00\x00\n"} {
			torn := t.TempDir()
			if err := os.WriteFile(filepath.Join(torn, filepath.Base(path)), []byte(string(text[:n])+garbage), 0o600); err != nil {
				t.Fatal(err)
			}
			before := verify(t, torn, VerifyOptions{})
			f := openFile(t, FileOptions{Dir: torn, Now: newClock().now})
			fill(t, f, 1)
			closeFile(t, f)
			report := mustBeIntact(t, torn, nil)
			complete := strings.Count(string(text[:n]), "\n")
			isTorn := n > 0 && text[n-1] != '\n' || garbage != ""
			w := report.Writers[0]
			if w.Last != int64(complete)+4 || (w.Dropped == 1) != isTorn {
				t.Errorf("cut at %d, %q: %d complete lines, %+v", n, garbage, complete, w)
			}
			if isTorn && garbage == "" && complete > 0 && !before.Writers[0].Torn {
				t.Errorf("cut at %d: not told to be torn: %+v", n, before)
			}
			if beside, err := filepath.Glob(filepath.Join(torn, "*.torn")); err != nil || (len(beside) == 1) != isTorn {
				t.Errorf("cut at %d: beside it there is %q, %v", n, beside, err)
			}
		}
	}
}

// A disk may have written the end of a batch and not what is before it.
func TestHoleInLastBatch(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, FileOptions{Dir: dir})
	fill(t, f, 4)
	closeFile(t, f)
	path := files(t, dir)[0].path
	lines := readAll(t, path)
	writeAll(t, path, slices.Delete(lines, 6, 7))
	f = openFile(t, FileOptions{Dir: dir})
	fill(t, f, 1)
	closeFile(t, f)
	if w := mustBeIntact(t, dir, nil).Writers[0]; w.Dropped != 1 || w.Last != 6+4 {
		t.Errorf("%+v", w)
	}
}

// More than a crash leaves is not cut off: somebody must look at it.
func TestNotACrash(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, FileOptions{Dir: dir})
	fill(t, f, 1)
	closeFile(t, f)
	path := files(t, dir)[0].path
	lines := readAll(t, path)
	lines[1] = strings.Replace(lines[1], "alice", "bobby", 1)
	lines = append(lines, strings.Repeat("x", maxBatchBytes+3*MaxLine)+"\n")
	writeAll(t, path, lines)
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	if _, err := OpenFile(FileOptions{Dir: dir, Writer: "gw-1", Key: testKey()}); err == nil {
		t.Error("it was opened")
	}
	if size() != before {
		t.Error("it was cut")
	}
}

// A crash between a new file and its first line.
func TestEmptyLastFile(t *testing.T) {
	for _, torn := range []string{"", `{"hash":"`} {
		dir := t.TempDir()
		f := openFile(t, FileOptions{Dir: dir})
		fill(t, f, 1)
		closeFile(t, f)
		last := mustBeIntact(t, dir, nil).Writers[0].Last
		if err := os.WriteFile(segmentPath(dir, "gw-1", last+1), []byte(torn), 0o600); err != nil {
			t.Fatal(err)
		}
		f = openFile(t, FileOptions{Dir: dir})
		fill(t, f, 1)
		closeFile(t, f)
		if n := len(files(t, dir)); n != 2 {
			t.Errorf("%d files", n)
		}
		mustBeIntact(t, dir, nil)
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	kept := new(copies)
	f := openFile(t, FileOptions{Dir: dir, MaxBytes: 3000, Copies: []CheckpointCopy{kept}})
	fill(t, f, 30)
	closeFile(t, f)
	f = openFile(t, FileOptions{Dir: dir, MaxBytes: 3000, Copies: []CheckpointCopy{kept}})
	fill(t, f, 3)
	closeFile(t, f)
	all := files(t, dir)
	if len(all) < 8 {
		t.Errorf("%d files", len(all))
	}
	for _, s := range all {
		info, err := os.Stat(s.path)
		if err != nil || info.Size() > 2*3000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", base(s), info, err)
		}
	}
	mustBeIntact(t, dir, kept.all)
}

// A new file that cannot be begun leaves the old one as it is.
func TestRotationFails(t *testing.T) {
	dir := t.TempDir()
	full := errors.New("no space left")
	var fail atomic.Bool
	f := openFile(t, FileOptions{Dir: dir, MaxBytes: 1, open: func(path string) (output, error) {
		out, err := openOutput(path)
		return &faulty{output: out, syncs: new(atomic.Int64), sync: func() error {
			if fail.Load() {
				return full
			}
			return nil
		}}, err
	}})
	fail.Store(true)
	for range 2 {
		if err := appendEvent(t.Context(), f, "bad"); !errors.Is(err, full) {
			t.Errorf("%v", err)
		}
	}
	fail.Store(false)
	if err := appendEvent(t.Context(), f, "good"); err != nil {
		t.Error(err)
	}
	closeFile(t, f)
	mustBeIntact(t, dir, nil)
}

func TestOneProcessPerWriter(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, FileOptions{Dir: dir})
	if _, err := OpenFile(FileOptions{Dir: dir, Writer: "gw-1", Key: testKey()}); err == nil {
		t.Error("a writer was opened twice")
	}
	other := openFile(t, FileOptions{Dir: dir, Writer: "gw-2"})
	closeFile(t, other)
	closeFile(t, f)
	closeFile(t, openFile(t, FileOptions{Dir: dir}))
	for _, name := range []string{"", "GW", "a.b", "../a", "-a", strings.Repeat("a", 65)} {
		if _, err := OpenFile(FileOptions{Dir: dir, Writer: name, Key: testKey()}); err == nil {
			t.Errorf("the writer %q", name)
		}
	}
	if _, err := OpenFile(FileOptions{Dir: dir, Writer: "gw-3"}); err == nil {
		t.Error("a file without a key")
	}
	mustBeIntact(t, dir, nil)
}

// Checkpoints come by number and by age, and go to the copies; one that fails is told of.
func TestCheckpoints(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		kept := new(copies)
		var failures atomic.Int64
		f := openFile(t, FileOptions{Dir: dir, Every: 10, Age: time.Minute, Copies: []CheckpointCopy{kept}, CheckpointFailed: func(error) { failures.Add(1) }})
		count := func() int {
			synctest.Wait()
			kept.mu.Lock()
			defer kept.mu.Unlock()
			return len(kept.all)
		}
		fill(t, f, 4)
		if n := count(); n != 0 {
			t.Errorf("%d checkpoints of 9 records", n)
		}
		time.Sleep(61 * time.Second)
		if n := count(); n != 1 {
			t.Errorf("%d checkpoints after a minute", n)
		}
		time.Sleep(10 * time.Minute)
		if n := count(); n != 1 {
			t.Errorf("%d checkpoints, though nothing was recorded", n)
		}
		fill(t, f, 5)
		if n := count(); n != 2 {
			t.Errorf("%d checkpoints after ten more records", n)
		}
		kept.mu.Lock()
		kept.err = errors.New("gone")
		kept.mu.Unlock()
		fill(t, f, 5)
		if synctest.Wait(); failures.Load() != 1 {
			t.Errorf("told of %d failures", failures.Load())
		}
		closeFile(t, f)
		if !slices.IsSortedFunc(kept.all, func(a, b Checkpoint) int { return int(a.Seq - b.Seq) }) {
			t.Errorf("%+v", kept.all)
		}
		mustBeIntact(t, dir, kept.all)
	})
}

// BenchmarkAppend is what a mutation waits for one record, with many at once.
func BenchmarkAppend(b *testing.B) {
	f := openFile(b, FileOptions{Dir: b.TempDir()})
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := appendEvent(b.Context(), f, "id"); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	closeFile(b, f)
}

func BenchmarkLine(b *testing.B) {
	e := event("alice", "t1")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := appendLine(nil, hash{}, &Record{Version: 1, Writer: "gw-1", Seq: 1, Kind: Intent, ID: "i", Event: &e}); err != nil {
			b.Fatal(err)
		}
	}
}
