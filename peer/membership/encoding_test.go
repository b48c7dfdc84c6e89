package membership

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

func TestMetricsRoundTrip(t *testing.T) {
	metrics := []ttlMetric{
		{api.Metric{Name: "ping", Value: `{"peername":"<é> \"x\"  "}`, Valid: true}, 30 * time.Second},
		{api.Metric{Name: "disk-freespace", Value: "123", Weight: -5, Partitionable: true, Valid: true}, time.Minute},
		{api.Metric{Name: "binary", Value: "a\xff\x00b", Valid: false}, 1500 * time.Millisecond},
	}
	blob, left, err := encodeMetrics(append([]ttlMetric(nil), metrics...))
	if err != nil || left != nil {
		t.Fatal(left, err)
	}
	got, err := decodeMetrics(blob)
	if err != nil {
		t.Fatal(err)
	}
	want := []ttlMetric{metrics[0], metrics[2], metrics[1]}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if blob, _, err = encodeMetrics(nil); err != nil || string(blob) != `{"metrics":[]}` {
		t.Errorf("no metrics are %s, %v", blob, err)
	}
}

// TestMetricsFormat holds the stored form: other versions read it.
func TestMetricsFormat(t *testing.T) {
	got, err := decodeMetrics([]byte(`{"later":1,"metrics":[{"name":"ping","value":"v","ttl":1000,"weight":2,"partitionable":true,"valid":true,"x":{}}]}`))
	want := []ttlMetric{{api.Metric{Name: "ping", Value: "v", Weight: 2, Partitionable: true, Valid: true}, time.Second}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	blob, _, err := encodeMetrics(want)
	if s := `{"metrics":[{"name":"ping","value":"v","ttl":1000,"weight":2,"partitionable":true,"valid":true}]}`; err != nil || string(blob) != s {
		t.Errorf("encoded as %s, %v", blob, err)
	}
}

func TestMetricsBounds(t *testing.T) {
	metrics := []ttlMetric{{api.Metric{Name: "ping", Value: "p"}, time.Second}}
	for i := range 3 {
		metrics = append(metrics, ttlMetric{api.Metric{Name: fmt.Sprint(i), Value: strings.Repeat("x", maxMetricsSize/2)}, time.Second})
	}
	blob, left, err := encodeMetrics(metrics)
	if err != nil || len(blob) > maxMetricsSize || len(left) != 2 {
		t.Errorf("%d bytes, left out %q, %v", len(blob), left, err)
	}
	if got, err := decodeMetrics(blob); err != nil || len(got) != 2 || got[0].Name != "ping" {
		t.Errorf("%d metrics, %v", len(got), err)
	}
	metrics = metrics[:1]
	for i := range maxMetrics {
		metrics = append(metrics, ttlMetric{api.Metric{Name: fmt.Sprint(i)}, time.Second})
	}
	if blob, left, err = encodeMetrics(metrics); err != nil || len(left) != 1 {
		t.Errorf("left out %q, %v", left, err)
	}
	if got, err := decodeMetrics(blob); err != nil || len(got) != maxMetrics {
		t.Errorf("%d metrics, %v", len(got), err)
	}
	for _, bad := range []string{
		"x", "[]", `{"metrics":[{"name":""}]}`, `{"metrics":[{"name":"a"},{"name":"a"}]}`, `{} {}`,
		`{"metrics":[` + strings.Repeat(`{"name":"a"},`, maxMetrics) + `{"name":"b"}]}`,
		`{"metrics":[{"name":"` + strings.Repeat("a", maxMetricsRead) + `"}]}`,
	} {
		if got, err := decodeMetrics([]byte(bad)); err == nil {
			t.Errorf("%.40s is decoded as %v", bad, got)
		}
	}
	for ms, want := range map[int64]time.Duration{-1: 0, 0: 0, 1: time.Millisecond} {
		if got := duration(ms); got != want {
			t.Errorf("%d ms are %s", ms, got)
		}
	}
	if d := duration(1 << 62); d <= 0 || time.Now().Add(d).Before(time.Now()) {
		t.Errorf("a long time is %s", d)
	}
	for d, want := range map[time.Duration]int64{-1: 0, 0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2} {
		if got := milliseconds(d); got != want {
			t.Errorf("%s are %d ms", d, got)
		}
	}
}

func FuzzDecodeMetrics(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte(`{"metrics":[{"name":"ping","value":"v","ttl":1000,"weight":2,"partitionable":true,"valid":true}]}`))
	f.Add([]byte(`{"metrics":[{"name":"a","bytes":"/w==","ttl":-1},{"name":"b","ttl":9223372036854775807}]}`))
	f.Add([]byte(`{"metrics":[{"name":"a"},{"name":"a"}]}`))
	f.Add([]byte(`{"metrics":null}`))
	f.Fuzz(func(t *testing.T, blob []byte) {
		metrics, err := decodeMetrics(blob)
		if err != nil {
			if metrics != nil {
				t.Fatal("metrics with an error")
			}
			return
		}
		names := make(map[string]bool)
		for _, m := range metrics {
			if m.Name == "" || names[m.Name] || m.ttl < 0 || m.Peer != "" {
				t.Fatalf("bad metric %v", m)
			}
			names[m.Name] = true
		}
		// What was accepted once survives another trip, but for what has no room.
		again, left, err := encodeMetrics(metrics)
		if err != nil || len(again) > maxMetricsSize {
			t.Fatalf("%d bytes, %v", len(again), err)
		}
		twice, err := decodeMetrics(again)
		if err != nil || len(twice)+len(left) != len(metrics) {
			t.Fatalf("%d metrics became %d and %d: %v", len(metrics), len(twice), len(left), err)
		}
		third, _, err := encodeMetrics(twice)
		if err != nil || !bytes.Equal(again, third) {
			t.Fatalf("%s became %s, %v", again, third, err)
		}
	})
}
