package scylla

import (
	"testing"
	"time"
)

// TestSkewOf shows what the answers of nodes come to: a wrong one among three counts
// for nothing, two halves that contradict each other and data centres that do so
// are apart.
func TestSkewOf(t *testing.T) {
	const second = time.Second
	at := func(dc string, skews ...time.Duration) (out []reading) {
		for _, skew := range skews {
			out = append(out, reading{dc: dc, skew: skew})
		}
		return out
	}
	const theNodes, dataCentres = "the nodes of data centre a", "the data centres a and b"
	for _, tt := range []struct {
		name string
		of   []reading
		want Skew
	}{
		{"one node", at("a", second), Skew{Ahead: second}},
		{"three that agree", at("a", second, second, second), Skew{Ahead: second}},
		{"one of three is wrong", at("a", 0, -5*second, 0), Skew{}},
		{"one of two is wrong", at("a", 0, -2*second), Skew{Ahead: -second, Spread: 2 * second, Between: theNodes}},
		{"half of four are wrong", at("a", 0, 2*second, 0, 2*second), Skew{Ahead: second, Spread: 2 * second, Between: theNodes}},
		{"data centres that agree", append(at("a", 0, 0, 0), at("b", 0)...), Skew{}},
		{"another data centre", append(at("a", 0, 0, 0), at("b", -2*second)...), Skew{Ahead: -second, Spread: 2 * second, Between: dataCentres}},
		{"another data centre, behind", append(at("a", 0, 0, 0), at("b", 2*second, 2*second)...), Skew{Ahead: second, Spread: 2 * second, Between: dataCentres}},
		{"one wrong node of another data centre", append(at("a", 0, 0, 0), at("b", 0, 2*second, 0)...), Skew{}},
		{
			"three data centres, the outer two count",
			append(append(at("b", second), at("a", 0, 0, 0)...), at("c", 4*second, 4*second, 4*second)...),
			Skew{Ahead: 2 * second, Spread: 4 * second, Between: "the data centres a and c"},
		},
	} {
		if got := skewOf(tt.of); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
