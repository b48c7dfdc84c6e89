package promtest

import (
	"fmt"
	"regexp"
	"time"
)

// spans are the durations of a file: how long an alert waits, how far back an expression
// looks, how long Alertmanager gathers. A number of seconds that a value is compared with is
// none.
var spans = regexp.MustCompile(`((?m:^\s*(?:for|group_wait|group_interval|repeat_interval):\s*)|\[|\boffset\s+)(\d+)(ms|[smhdw])\b`)

// Shrink returns rules, or a configuration of Alertmanager, with every duration divided by a
// factor and all else as it was: names, thresholds and the relation of the durations to each
// other. So a test sees in minutes what takes hours. A rule that compares with a number of
// seconds keeps it, and may mean something else then.
func Shrink(text []byte, factor int) []byte {
	// Not those of package time, which has no days.
	units := map[string]time.Duration{
		"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
	}
	return spans.ReplaceAllFunc(text, func(found []byte) []byte {
		part := spans.FindSubmatch(found)
		var count int64
		for _, digit := range part[2] {
			count = count*10 + int64(digit-'0')
		}
		shrunk := time.Duration(count) * units[string(part[3])] / time.Duration(factor)
		return fmt.Appendf(nil, "%s%dms", part[1], max(1, shrunk.Milliseconds()))
	})
}
