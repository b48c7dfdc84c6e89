package scylla

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
)

// TestSlowRequestsAreTold: ten in a minute, and how many more there were.
func TestSlowRequestsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &DB{limit: 10 * time.Second, health: newHealth(nil, nil, nobody), conf: Config{SlowQuery: time.Second}}
		read := func(took time.Duration, err error) {
			_ = db.repeat(t.Context(), about{read, gocql.Quorum, "SELECT a FROM b WHERE c = 'secret' AND d = ?", 1}, func(ctx context.Context, _ time.Duration) error {
				trailIn(ctx, t).hand(testHost("\x07"))
				time.Sleep(took) // simulated time
				return err
			})
		}
		told := func(f func()) []string {
			t.Helper()
			lines := logged(t, f)
			for _, line := range lines {
				if strings.Contains(line, "secret") {
					t.Errorf("a value was told: %s", line)
				}
			}
			return lines
		}
		lines := told(func() {
			read(time.Second-1, nil)
			read(time.Second, nil)
			read(2*time.Second, answered{gocql.ErrCodeInvalid, "c = 'secret'"}) // it fails
			for range 20 {
				read(time.Second, nil)
			}
			time.Sleep(time.Hour) // nobody asks for anything
			read(time.Second, nil)
		})
		const first = "a request to the database took 1s: SELECT a FROM b WHERE c = ? AND d = ? (read at QUORUM, attempts 1, ok, node 127.0.0.7:9042)"
		want := []string{
			first,
			"a request to the database took 2s: SELECT a FROM b WHERE c = ? AND d = ? (read at QUORUM, attempts 1, refused, code 0x2200, node 127.0.0.7:9042)",
			first, first, first, first, first, first, first, first,
			"and 12 more slow requests to the database in a minute",
			first,
		}
		if len(lines) != len(want) {
			t.Fatalf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
		}
		for i, line := range lines {
			if !strings.HasSuffix(line, want[i]) || !strings.Contains(line, "WARN") {
				t.Errorf("line %d is\n%s\nwant\n%s", i, line, want[i])
			}
		}

		lines = told(func() { // the process ends
			for range slowTold + 2 {
				read(time.Second, nil)
			}
			db.slow.close()
			db.slow.close()
		})
		if last := lines[len(lines)-1]; !strings.HasSuffix(last, "and 3 more slow requests to the database in a minute") {
			t.Errorf("at the end it says %q", last)
		}

		db.conf.SlowQuery = 0
		if lines := told(func() { read(time.Hour, nil) }); lines[0] != "" {
			t.Errorf("told although it is off: %q", lines)
		}
	})
}

// trailIn is the trail of a request.
func trailIn(ctx context.Context, t *testing.T) *trail {
	t.Helper()
	found, ok := ctx.Value(trailKey{}).(*trail)
	if !ok {
		t.Fatal("the request has no trail")
	}
	return found
}

func TestWithoutValues(t *testing.T) {
	for text, want := range map[string]string{
		"UPDATE pins SET rev = ? WHERE cid = ? IF rev = ?":                         "UPDATE pins SET rev = ? WHERE cid = ? IF rev = ?",
		"SELECT a2 FROM t1 WHERE k = 'it''s' AND b = 'x'":                          "SELECT a2 FROM t1 WHERE k = ? AND b = ?",
		"SELECT a FROM t WHERE k = 'open":                                          "SELECT a FROM t WHERE k = ?",
		"UPDATE t SET a = 0x00ff, b = -1.5e-3 WHERE k = 7":                         "UPDATE t SET a = ?, b = -? WHERE k = ?",
		"UPDATE t SET a = $$it's$$ WHERE k = abcdef00-0000-1000-8080-808080808080": "UPDATE t SET a = ? WHERE k = ?",
		strings.Repeat("x", 2*slowText):                                            strings.Repeat("x", slowText) + "…",
	} {
		if got := withoutValues(text); got != want {
			t.Errorf("%q\nis   %q\nwant %q", text, got, want)
		}
	}
}

// FuzzWithoutValues: what is in quotes is not told.
func FuzzWithoutValues(f *testing.F) {
	f.Add("secret", "$")
	f.Add("it''s", "9")
	f.Add("0", "fQQQQ9 9")
	f.Fuzz(func(t *testing.T, value, other string) {
		const marked = "QQQ"
		if strings.ContainsAny(other, "'$") || strings.Contains(other, marked) {
			return
		}
		text := "SELECT a FROM " + other + " WHERE k = '" + marked + strings.ReplaceAll(value, "'", "''") + marked + "'"
		if got := withoutValues(text); strings.Contains(got, marked) {
			t.Errorf("%q is told as %q", text, got)
		}
	})
}
