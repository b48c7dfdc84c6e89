package events

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// Version says which of several states is the latest. The order of the texts is
// that of the writes: 15 hexadecimal digits for the time in units of 100 ns since
// 1582-10-15, then 16 that make it unique. Compare versions by Newer, and only
// those of events with one Key.
type Version string

const (
	timeDigits    = 15
	versionDigits = timeDigits + 16
	// uuidEpoch is 1582-10-15, the beginning of the time of a timeuuid, in
	// seconds of Unix.
	uuidEpoch = -12219292800
	// ticks are the units of that time in a second.
	ticks = 10_000_000
)

// VersionOf returns the Version of a timeuuid, as the revision of a pin is one.
// That of the zero uuid is empty.
func VersionOf(uuid [16]byte) Version {
	if uuid == ([16]byte{}) {
		return ""
	}
	low, middle := binary.BigEndian.Uint32(uuid[0:]), binary.BigEndian.Uint16(uuid[4:])
	high := binary.BigEndian.Uint16(uuid[6:]) & 0x0fff // without the version of the uuid
	return Version(fmt.Sprintf("%03x%04x%08x%x", high, middle, low, uuid[8:]))
}

// Newer reports whether a was written after b. The empty Version is older than all
// others.
func Newer(a, b Version) bool { return a > b }

// Time is when it was written, by the writer's clock, to 100 ns, in UTC. It is zero
// if v is not a Version.
func (v Version) Time() time.Time {
	if !v.valid() {
		return time.Time{}
	}
	var t int64
	for _, digit := range []byte(v[:timeDigits]) {
		t = t<<4 | int64(strings.IndexByte(hexDigits, digit))
	}
	return time.Unix(uuidEpoch+t/ticks, t%ticks*100).UTC()
}

const hexDigits = "0123456789abcdef"

func (v Version) valid() bool {
	return len(v) == versionDigits && strings.Trim(string(v), hexDigits) == ""
}
