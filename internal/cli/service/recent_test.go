package service

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	logging "github.com/ipfs/go-log/v2"
)

func kept(t *testing.T, r *recentLog) []json.RawMessage {
	t.Helper()
	w := httptest.NewRecorder()
	r.ServeHTTP(w, nil)
	var lines []json.RawMessage
	if err := json.Unmarshal(w.Body.Bytes(), &lines); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	return lines
}

// TestRecent: warnings and errors are kept, the last ones, and not too much of them.
func TestRecent(t *testing.T) {
	r := keepRecent(newSecrets())
	log := logging.Logger("recenttest")
	if err := logging.SetLogLevel("recenttest", "debug"); err != nil {
		t.Fatal(err)
	}
	log.Info("not this")
	log.Warn("a warning")
	log.Error("an error")
	if err := r.close(); err != nil { // all is read by then
		t.Fatal(err)
	}
	lines := kept(t, r)
	if len(lines) != 2 || !strings.Contains(string(lines[0]), "a warning") || !strings.Contains(string(lines[1]), "an error") {
		t.Errorf("kept %s", lines)
	}
	for i := range recentKept + 1 {
		r.add(fmt.Appendf(nil, `{"n": %d}`, i))
	}
	r.add([]byte(strings.Repeat("x", 3*recentBytes)))
	lines = kept(t, r)
	if len(lines) != recentKept || string(lines[0]) == "" || !strings.Contains(string(lines[0]), "2") || len(lines[recentKept-1]) > recentBytes+2 {
		t.Errorf("kept %d lines, from %s to %.100s", len(lines), lines[0], lines[len(lines)-1])
	}
}

// TestRecentIsMaskedBeforeItIsCut: wherever a line is cut, no part of a secret is left that
// nobody would know for one.
func TestRecentIsMaskedBeforeItIsCut(t *testing.T) {
	known := newSecrets()
	known.add("wide open sesame")
	for _, secret := range []string{
		"nats://u:geheim-geheim-geheim@n1:4222", "user:geheim-geheim-geheim@n1", "?token=geheim-geheim-geheim", "Bearer geheim-geheim-geheim",
		"eyJgeheimgeheim.geheimgeheim.geheim", "SUAGMJH5XLGZKQQWAWKRZJIGMOU4HPFUYLXJMXOO5NLFEO2OOQJ5LPRDPM",
		"-----BEGIN PRIVATE KEY-----\ngeheim\ngeheim\n-----END PRIVATE KEY-----", "wide open sesame",
	} {
		r := &recentLog{known: known}
		for pad := recentBytes - 100; pad < recentBytes; pad++ {
			line, err := json.Marshal(map[string]string{"msg": strings.Repeat("x", pad) + " " + secret + " " + strings.Repeat("y", 3*recentBytes)})
			if err != nil {
				t.Fatal(err)
			}
			r.add(line)
		}
		for _, line := range r.lines {
			if len(line) > recentBytes+100 {
				t.Fatalf("a line of %d bytes is kept", len(line))
			}
			for _, part := range []string{"gehei", "GMJH5X", "sesam"} {
				if strings.Contains(string(line), part) {
					t.Fatalf("%q shows at the end of %s", secret, line[len(line)-150:])
				}
			}
		}
	}
	if len(known.found) > 10 {
		t.Errorf("%d secrets are kept", len(known.found))
	}
}
