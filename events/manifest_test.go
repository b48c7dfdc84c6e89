package events

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestManifestRefuses shows which error bad positions get, and that none is taken for
// one that tells more than it says.
func TestManifestRefuses(t *testing.T) {
	for _, test := range []struct {
		name, old, replacement string
		want                   error
		says                   string
	}{
		{"feed.manifest", "manifest.v1", "manifest.v2", ErrUnknown, "manifest.v2"},
		{"feed.manifest", "manifest", "resume", ErrUnknown, "resume"},
		{"feed.manifest", `"type": "com.github.ipfs-cluster.scylla.feed.manifest.v1",`, "", ErrMalformed, "type is missing"},
		{"feed.manifest", `"shard": 3,`, "", ErrMalformed, "shard is missing"},
		{"feed.manifest", `"shard": 3`, `"shard": 16`, ErrMalformed, "shard is 16, not one of 0 to 15"},
		{"feed.manifest", `"shard": 3`, `"shard": -1`, ErrMalformed, "shard is -1"},
		{"feed.manifest", `"epoch": 12,`, "", ErrMalformed, "epoch is 0"},
		{"feed.manifest", `"n": 4711,`, "", ErrMalformed, "n is missing"},
		{"feed.manifest", `4711`, `-1`, ErrMalformed, "-1"},
		{"feed.manifest", `"through"`, `"from"`, ErrMalformed, "time is missing"},
		{"feed.manifest", `"through"`, `"n"`, ErrMalformed, "json"},
		{"feed.manifest", "2026-11", "0001-13", ErrMalformed, "month"},
		{"feed.resume", "resume.v1", "resume.v2", ErrUnknown, "resume.v2"},
		{"feed.resume", `"from"`, `"through"`, ErrMalformed, "time is missing"},
		{"feed.resume", `"2026-11-27T10:16:30.1234567Z"`, `"0001-01-01T00:00:00Z"`, ErrMalformed, "time is missing"},
		{"feed.resume", `"epoch": 13`, `"epoch": -13`, ErrMalformed, "epoch is -13"},
		{"feed.resume", `{`, ``, ErrMalformed, "invalid"},
		{"feed.resume-again", `"n": 1152,`, "", ErrMalformed, "n is missing"},
		{"feed.resume-again", `640`, "1153", ErrMalformed, "after is 1153, more than n"},
		{"feed.replayed", "replayed.v1", "replayed.v2", ErrUnknown, "replayed.v2"},
		{"feed.replayed", `"replay": "3-13-1",`, "", ErrMalformed, "replay is missing"},
		{"feed.replayed", `"from"`, `"latest"`, ErrMalformed, "time is missing"},
		{"feed.replayed", `"through"`, `"latest"`, ErrMalformed, "time is missing"},
		{"feed.resume", `{`, strings.Repeat(" ", MaxBytes) + `{`, ErrMalformed, "more than 524288"},
	} {
		var err error
		switch text := edited(t, test.name, test.old, test.replacement); test.name {
		case "feed.manifest":
			_, err = ParseManifest(text)
		case "feed.replayed":
			_, err = ParseReplayed(text)
		default:
			_, err = ParseResume(text)
		}
		if !errors.Is(err, test.want) || errors.Is(err, ErrUnknown) == errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s with %.60s instead of %s: %v, want %v that says %q", test.name, test.replacement, test.old, err, test.want, test.says)
		}
	}
	for _, p := range []interface{ Encode() ([]byte, error) }{
		Manifest{}, Manifest{Shard: Shards, Epoch: 1, Through: sampleTime()}, Manifest{Epoch: 1}, Manifest{Through: sampleTime()},
		Manifest{Epoch: 1, Through: time.Unix(1<<40, 0)}, Resume{Epoch: 1}, Resume{Shard: -1, Epoch: 1, From: sampleTime()},
		Resume{Epoch: 1, From: sampleTime(), After: 2, N: 1}, Replayed{Epoch: 1, Through: sampleTime()},
	} {
		if encoded, err := p.Encode(); !errors.Is(err, ErrMalformed) || encoded != nil {
			t.Errorf("%+v: %s, %v", p, encoded, err)
		}
	}
}

// TestManifestOfNothing shows that an epoch without a message has a manifest.
func TestManifestOfNothing(t *testing.T) {
	want := Manifest{Shard: 0, Epoch: 1, Through: sampleTime()}
	if got, err := ParseManifest(encode(t, want)); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

// TestReplayOfEverything shows that a replay may begin before all times.
func TestReplayOfEverything(t *testing.T) {
	want := Replayed{Shard: 0, Epoch: 1, Replay: "r", Through: sampleTime()}
	if got, err := ParseReplayed(encode(t, want)); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}
