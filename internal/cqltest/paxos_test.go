package cqltest

import "testing"

func TestIsPaxos(t *testing.T) {
	for table, want := range map[string]bool{
		"pins$paxos": true, "schema_history$paxos": true,
		"pins": false, "paxos": false, "pins_paxos": false,
	} {
		if got := IsPaxos(table); got != want {
			t.Errorf("IsPaxos(%q) = %t", table, got)
		}
	}
}
