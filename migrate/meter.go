package migrate

import (
	"sync"
	"time"
)

// progressEvery keeps the calls of Progress apart.
const progressEvery = 100 * time.Millisecond

// meter says how far a phase has come. Several goroutines may use it at once.
type meter struct {
	call func(Progress) // nil: nobody listens

	mu    sync.Mutex
	now   Progress // of the phase that was begun last
	first int64    // what was done before this process began it
	begun time.Time
	said  time.Time
}

func newMeter(call func(Progress)) *meter {
	if call == nil {
		call = func(Progress) {}
	}
	return &meter{call: call}
}

// begin starts a phase of which some is done already.
func (m *meter) begin(phase Phase, done, total, bad int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = Progress{Phase: phase, Done: done, Total: total, Bad: bad}
	m.first, m.begun = done, time.Now()
	m.say(m.begun)
}

// at says that so much is done.
func (m *meter) at(done, bad int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Done, m.now.Bad = done, bad
	m.sayAgain()
}

// add says that so much more is done.
func (m *meter) add(done, bad int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Done += done
	m.now.Bad += bad
	m.sayAgain()
}

// sayAgain says it if the last time is long enough ago. The caller has the lock.
func (m *meter) sayAgain() {
	if now := time.Now(); now.Sub(m.said) >= progressEvery {
		m.say(now)
	}
}

// count is at for what counts up by itself.
func (m *meter) count(n int64) { m.at(n, 0) }

// end says where the phase has ended.
func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.say(time.Now())
}

func (m *meter) say(now time.Time) {
	m.said = now
	m.now.Elapsed = now.Sub(m.begun)
	m.now.Rate = perSecond(m.now.Done-m.first, m.now.Elapsed)
	m.call(m.now)
}

// perSecond is never infinite, which JSON could not hold.
func perSecond(n int64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return float64(n) / in.Seconds()
}
