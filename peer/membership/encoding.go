package membership

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

const (
	// maxMetrics is how many metrics one peer has at most.
	maxMetrics = 256
	// maxMetricsSize bounds the metrics of one heartbeat, in bytes, and
	// maxMetricsRead what is decoded of others.
	maxMetricsSize = 48 << 10
	maxMetricsRead = 64 << 10
)

// envelope is the form in which the metrics of a heartbeat are stored. A field
// that a later version adds is passed over.
type envelope struct {
	Metrics []wireMetric `json:"metrics"`
}

// wireMetric is one metric on its way. It has no absolute time, for clocks
// differ.
type wireMetric struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	// Bytes holds a value that is not text and would not survive as such.
	Bytes []byte `json:"bytes,omitempty"`
	// TTL is in milliseconds.
	TTL           int64 `json:"ttl"`
	Weight        int64 `json:"weight,omitempty"`
	Partitionable bool  `json:"partitionable,omitempty"`
	Valid         bool  `json:"valid,omitempty"`
}

// ttlMetric is a metric and how long it counts from when it is seen. Its Peer
// and its times are not set.
type ttlMetric struct {
	api.Metric
	ttl time.Duration
}

// encodeMetrics returns as many of the metrics as there is room for, in the
// order of their importance, and the names of those that it left out.
func encodeMetrics(metrics []ttlMetric) (blob []byte, left []string, err error) {
	slices.SortFunc(metrics, func(a, b ttlMetric) int {
		if (a.Name == pingMetric) != (b.Name == pingMetric) {
			if a.Name == pingMetric {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	e := envelope{Metrics: []wireMetric{}}
	room := maxMetricsSize - len(`{"metrics":[]}`)
	for _, m := range metrics {
		w := wireMetric{
			Name: m.Name, TTL: milliseconds(m.ttl), Weight: m.Weight,
			Partitionable: m.Partitionable, Valid: m.Valid,
		}
		if utf8.ValidString(m.Value) {
			w.Value = m.Value
		} else {
			w.Bytes = []byte(m.Value)
		}
		one, err := json.Marshal(w)
		if err != nil {
			return nil, nil, fmt.Errorf("encoding metric %q: %w", m.Name, err)
		}
		if len(one)+1 > room || len(e.Metrics) == maxMetrics {
			left = append(left, m.Name)
			continue
		}
		room -= len(one) + 1
		e.Metrics = append(e.Metrics, w)
	}
	blob, err = json.Marshal(e)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding metrics: %w", err)
	}
	return blob, left, nil
}

// decodeMetrics returns the metrics of a heartbeat, at most one of each name.
// No bytes are no metrics.
func decodeMetrics(blob []byte) ([]ttlMetric, error) {
	if len(blob) == 0 {
		return nil, nil
	}
	if len(blob) > maxMetricsRead {
		return nil, fmt.Errorf("decoding metrics: %d bytes are more than %d", len(blob), maxMetricsRead)
	}
	var e envelope
	if err := json.Unmarshal(blob, &e); err != nil {
		return nil, fmt.Errorf("decoding metrics: %w", err)
	}
	if len(e.Metrics) > maxMetrics {
		return nil, fmt.Errorf("decoding metrics: %d are more than %d", len(e.Metrics), maxMetrics)
	}
	metrics := make([]ttlMetric, 0, len(e.Metrics))
	seen := make(map[string]bool, len(e.Metrics))
	for _, w := range e.Metrics {
		if w.Name == "" || seen[w.Name] {
			return nil, errors.New("decoding metrics: one has no name, or one name comes twice")
		}
		seen[w.Name] = true
		value := w.Value
		if len(w.Bytes) > 0 {
			value = string(w.Bytes)
		}
		metrics = append(metrics, ttlMetric{
			Metric: api.Metric{
				Name: w.Name, Value: value, Weight: w.Weight,
				Partitionable: w.Partitionable, Valid: w.Valid,
			},
			ttl: duration(w.TTL),
		})
	}
	return metrics, nil
}

// milliseconds rounds up, so that a short time does not become none.
func milliseconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d-1)/time.Millisecond) + 1
}

// duration is never negative and bounded, so that it can be added to a time.
func duration(ms int64) time.Duration {
	const longest = math.MaxInt64 / 4 / int64(time.Millisecond)
	return time.Duration(min(max(ms, 0), longest)) * time.Millisecond
}
