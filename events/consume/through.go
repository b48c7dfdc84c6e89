package consume

import (
	"fmt"
	"time"
)

// Through returns how far in time everything was handed to a consumer, by what it has saved in its
// State: of the shard that is the furthest behind. It is zero if the consumer has just begun.
func Through(saved []byte) (time.Time, error) {
	s, err := parseState(saved)
	if err != nil {
		return time.Time{}, fmt.Errorf("how far a consumer is: %w", err)
	}
	var through time.Time
	for i, sh := range s.Shards {
		at := sh.Through
		if len(sh.Missing) > 0 && sh.Missing[0].From.Before(at) {
			at = sh.Missing[0].From
		}
		if i == 0 || at.Before(through) {
			through = at
		}
	}
	return through, nil
}
