package sli

// waiting are pins in the order in which they are to be looked at.
type waiting struct {
	pins []accepted
	gone int // of the first ones
}

func (q *waiting) len() int         { return len(q.pins) - q.gone }
func (q *waiting) head() *accepted  { return &q.pins[q.gone] }
func (q *waiting) add(pin accepted) { q.pins = append(q.pins, pin) }

// drop takes out the first one. The memory of those that are gone is used again.
func (q *waiting) drop() {
	q.pins[q.gone] = accepted{}
	q.gone++
	if q.gone*2 < len(q.pins) {
		return
	}
	left := copy(q.pins, q.pins[q.gone:])
	clear(q.pins[left:])
	q.pins, q.gone = q.pins[:left], 0
	if cap(q.pins) > 1024 && left == 0 {
		q.pins = nil
	}
}
