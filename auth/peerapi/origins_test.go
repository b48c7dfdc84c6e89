package peerapi

import (
	"net/url"
	"strings"
	"testing"
)

// TestOrigins: what upstream would refuse, and what has no room, does not keep a pin from
// being made.
func TestOrigins(t *testing.T) {
	const good = "/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWQiK1sYbGNnD9XtWF1sP95cawwwNy3d2WUwtP71McwUfZ"
	for name, test := range map[string]struct {
		origins []string
		want    string
	}{
		"none":     {nil, ""},
		"one":      {[]string{good}, good},
		"bad":      {[]string{"/ip4/192.0.2.1", "x", "", good}, good},
		"only bad": {[]string{"/ip4/192.0.2.1/tcp/1"}, ""},
		"many":     {[]string{good, good}, good + "," + good},
		"too many": {strings.Fields(strings.Repeat(good+" ", 100)), "some"},
	} {
		text, err := Options{Origins: test.origins, Metadata: map[string]string{"k": "v"}}.query()
		if err != nil {
			t.Fatal(name, err)
		}
		query, err := url.ParseQuery(text)
		if err != nil || query.Get("meta-k") != "v" || len(text) > maxQuery {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
		if got := query.Get("origins"); name != "too many" && got != test.want || name == "too many" && (got == "" || strings.Count(got, ",") > 60) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
