package bus_test

import (
	"fmt"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

func TestTooOld(t *testing.T) {
	for version, want := range map[string]bool{
		"2.12.1": true, "2.13.99": true, "2.9.0": true, "1.99.0": true, "v2.11.4": true, "2.13.0-RC.1": true, "2.2": true,
		"2.14.0": false, "2.14": false, "2.14.0-RC.1": false, "2.15.2": false, "2.100.0": false, "3.0.0": false, "v2.14.1": false, "10.1.0": false,
		"": false, "2": false, "dev": false, "x.14": false, "2.x": false, "-1.2": false, ".": false,
	} {
		if got := bus.TooOld(version); got != want {
			t.Errorf("TooOld(%q) = %t", version, got)
		}
	}
}

// FuzzTooOld: a version is as old as its first two numbers say, and any text is read.
func FuzzTooOld(f *testing.F) {
	f.Add("2.14.0", uint8(2), uint8(14), ".0")
	f.Add("2.13.9-dev", uint8(2), uint8(13), "")
	f.Add("", uint8(3), uint8(0), ".x")
	f.Fuzz(func(t *testing.T, text string, major, minor uint8, rest string) {
		bus.TooOld(text)
		version := fmt.Sprintf("%d.%d.%s", major, minor, rest)
		if want := major < 2 || major == 2 && minor < 14; bus.TooOld(version) != want {
			t.Errorf("TooOld(%q) = %t", version, !want)
		}
	})
}
