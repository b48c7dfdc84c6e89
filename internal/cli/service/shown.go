package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// shownText is a text that others have written as a terminal may get it: quoted if there is
// anything in it that does not stand for itself, such as a sequence that steers a terminal.
func shownText(s string) string {
	s = strings.ReplaceAll(s, "\u00a0", " ") // as protobuf has it in some builds
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return strconv.Quote(s)
}

// shownJSON is the same JSON as a terminal may get it. JSON has to escape the control
// characters below the space only.
func shownJSON(data []byte) []byte {
	const first, last = 0x7f, 0x9f
	if !bytes.ContainsFunc(data, func(r rune) bool { return r >= first && r <= last }) {
		return data
	}
	var out []byte
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r >= first && r <= last {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = append(out, data[:size]...)
		}
		data = data[size:]
	}
	return out
}

func (cmd *command) printJSON(v any, indent string) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	err := enc.Encode(v)
	if err == nil {
		_, err = cmd.stdout.Write(shownJSON(text.Bytes()))
	}
	if err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}
