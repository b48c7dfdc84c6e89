package nearest

import (
	"slices"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0},
		{"kitten", "sitting", 3}, {"saturday", "sunday", 3}, {"flaw", "lawn", 2},
	} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("from %q to %q are %d edits, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}

func TestNames(t *testing.T) {
	known := []string{"hosts", "port", "username", "password_file", "cert_file", "key_file"}
	for _, tc := range []struct {
		name string
		want []string
	}{
		{"host", []string{"hosts"}},
		{"user", []string{"username"}},
		{"passwd_file", []string{"password_file"}},
		{"ports", []string{"port"}},
		{"entirely_else", nil},
		{"", nil},
		{"keyfile", []string{"key_file"}},
	} {
		if got := Names(tc.name, known); !slices.Equal(got, tc.want) {
			t.Errorf("near %q are %q, want %q", tc.name, got, tc.want)
		}
	}
}
