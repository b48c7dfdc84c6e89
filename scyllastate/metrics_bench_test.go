package scyllastate

import "testing"

// BenchmarkMetrics is what measuring costs a write, and a change that is read.
func BenchmarkMetrics(b *testing.B) {
	b.Run("write", func(b *testing.B) {
		m, pins := NewMetrics(), new(pinsCount)
		b.ReportAllocs()
		for b.Loop() {
			m.written(1)
			pins.wrote(row{}, new(content))
		}
	})
	b.Run("change", func(b *testing.B) {
		m := NewMetrics()
		b.ReportAllocs()
		for b.Loop() {
			m.took(false)
		}
	})
}
