package bus

import (
	"fmt"
	"strconv"
	"strings"
)

// ConsumerVersion is the oldest version of NATS servers that consumers work with: they have
// a consumer in JetStream read its stream again from a place, by the request CONSUMER.RESET,
// which older servers do not answer.
const ConsumerVersion = "2.14"

// CheckVersion returns an error that matches ErrTooOld if the server that the Bus is connected
// to is older than ConsumerVersion. Without a connection there is none.
func (b *Bus) CheckVersion() error {
	server, version := shownURL(b.conn.ConnectedUrl()), b.conn.ConnectedServerVersion()
	if version == "" || !TooOld(version) {
		return nil
	}
	return fmt.Errorf("%w: %s is NATS %s, and a consumer needs %s or later: upgrade it", ErrTooOld, server, version, ConsumerVersion)
}

// TooOld reports whether a version of a NATS server is older than ConsumerVersion. One that
// cannot be read is not: the builds of others have names of their own.
func TooOld(version string) bool {
	found, ok := release(version)
	needed, _ := release(ConsumerVersion)
	return ok && (found[0] < needed[0] || found[0] == needed[0] && found[1] < needed[1])
}

// release returns the first two numbers of a version.
func release(version string) (numbers [2]int, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return numbers, false
	}
	for i := range numbers {
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < 0 {
			return numbers, false
		}
		numbers[i] = n
	}
	return numbers, true
}
