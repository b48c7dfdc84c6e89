package pins

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// A tenant's rows lie in slices of time, so that no partition grows without bound. There are
// slices of five lengths, each a multiple of the next: a row lies in one of the longest until
// an instance has put sliceRows rows there, then in one of the next length until that is as
// full, and so on. What slice a row may lie in follows from its time and the length alone, so
// instances need not agree on anything: at worst each fills a slice by itself.
const (
	levels = 5
	// sliceRows bounds a partition, and what one that was emptied costs who reads it: both
	// engines read over what was deleted, and Cassandra refuses a read over 100,000 of that.
	sliceRows = 20_000
	// sliceRoom is a power of two above levels: the last bits of a slice are its level.
	sliceRoom = 8
	// aheadMost is how far the times of a tenant's requests may run ahead of the clock, by
	// more than one request in a millisecond at one instance.
	aheadMost = 1000
	// slicedTenants is of how many tenants an instance remembers what it has put where.
	slicedTenants = 10_000
)

// lengthOf is how many milliseconds a slice of a level has.
func lengthOf(level int) int64 {
	switch level {
	case 0:
		return 32 * 24 * time.Hour.Milliseconds()
	case 1:
		return 24 * time.Hour.Milliseconds()
	case 2:
		return time.Hour.Milliseconds()
	case 3:
		return time.Minute.Milliseconds()
	default:
		return 5 * time.Second.Milliseconds()
	}
}

// sliceOf is the slice of a level that has this moment.
func sliceOf(created int64, level int) int64 {
	return (created-created%lengthOf(level))*sliceRoom + int64(level)
}

func levelOf(slice int64) int { return int(slice % sliceRoom) }

// startOf and endOf bound the times of a slice's rows: start <= created < end.
func startOf(slice int64) int64 { return slice / sliceRoom }
func endOf(slice int64) int64   { return startOf(slice) + lengthOf(levelOf(slice)) }

// slicer chooses times and slices. It is safe for concurrent use.
type slicer struct {
	rows    int // that a slice takes
	mu      sync.Mutex
	tenants *lru.Cache[string, *filling]
}

// filling is what an instance has put where for one tenant.
type filling struct {
	last  int64 // the last created
	parts [levels]struct {
		slice int64
		rows  int
		noted bool // the slice has a row in the table slices
	}
}

func newSlicer() *slicer {
	tenants, err := lru.New[string, *filling](slicedTenants)
	if err != nil {
		return nil // only for a size below one
	}
	return &slicer{rows: sliceRows, tenants: tenants}
}

// next returns the time of a tenant's next request, the slice it goes to, and whether that
// is noted in the table slices.
func (s *slicer) next(tenant string, now time.Time) (created, slice int64, noted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.tenants.Get(tenant)
	if !ok {
		f = new(filling)
		s.tenants.Add(tenant, f)
	}
	f.last = max(f.last+1, now.UnixMilli())
	for level := range f.parts {
		p := &f.parts[level]
		if slice = sliceOf(f.last, level); p.slice != slice {
			p.slice, p.rows, p.noted = slice, 0, false
		}
		if p.rows < s.rows || level == levels-1 {
			p.rows++
			return f.last, slice, p.noted
		}
	}
	return f.last, slice, false // not reached: there is a last level
}

// note remembers that the table slices has the slice.
func (s *slicer) note(tenant string, slice int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.tenants.Get(tenant); ok {
		if p := &f.parts[levelOf(slice)]; p.slice == slice {
			p.noted = true
		}
	}
}
