package service

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// TestShown: what others have written does not steer a terminal, and is not changed else.
func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"it is \"no\" pin, señor 東京":   "it is \"no\" pin, señor 東京",
		"proto:\u00a0cannot parse":     "proto: cannot parse",
		"\x1b[2J\x1b[1;31mall is well": `"\x1b[2J\x1b[1;31mall is well"`,
		"\x1b]0;title\a":               `"\x1b]0;title\a"`,
		"over\rwritten":                `"over\rwritten"`,
		"column\tcolumn":               `"column\tcolumn"`,
		"in one character \u009b2J":    `"in one character \u009b2J"`,
		"in one byte \x9b2J":           `"in one byte \x9b2J"`,
		"del\x7f":                      `"del\x7f"`,
		"backwards \u202etxt.exe":      `"backwards \u202etxt.exe"`,
	} {
		if got := shownText(text); got != want {
			t.Errorf("%q is shown as %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{`{"a":"b"}`, "{\"a\":\"\u009b2J\x7f\"}", "\"\xff\u0085\""} {
		shown := string(shownJSON([]byte(text)))
		var a, b any
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(shown), &b); err != nil || !reflect.DeepEqual(a, b) || strings.ContainsAny(shown, "\x7f\u0085\u009b") {
			t.Errorf("%q is shown as %q (%v)", text, shown, err)
		}
	}
	if got := oneLine("a\nb " + strings.Repeat("\x1b", 200)); strings.Contains(got, "\x1b") || len([]rune(got)) != 100 || !strings.HasPrefix(got, `"a b \x1b`) {
		t.Errorf("a long error is %q", got)
	}
}
