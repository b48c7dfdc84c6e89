package service

import (
	"bytes"
	"strings"
	"testing"
)

// TestEventsStatusMarksOldServers: a server that consumers cannot work with is marked.
func TestEventsStatusMarksOldServers(t *testing.T) {
	for version, want := range map[string]string{
		"2.12.1": "nats://a:4222, NATS 2.12.1: too old for consumers, which need 2.14 or later\n",
		"2.15.2": "nats://a:4222, NATS 2.15.2\n",
	} {
		var out bytes.Buffer
		busReport{Server: "nats://a:4222", Version: version}.print(&out)
		if !strings.Contains(out.String(), want) {
			t.Errorf("it says %s, want %q", out.String(), want)
		}
	}
}
