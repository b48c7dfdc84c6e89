package audit

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// FailureOptions bound what is recorded of failed authentications in one window: at
// most Single records of one attempt each, then at most Groups+1 records of counts.
type FailureOptions struct {
	Window time.Duration // zero means a minute
	Single int           // zero means 100
	Groups int           // zero means 1000
}

// Attempt is a failed authentication.
type Attempt struct {
	IP     netip.Addr
	Method string
	// Reason is a code, not a text of the client's.
	Reason string
	// Credential is its id, if there is one.
	Credential string
}

// group is what is counted together.
type group struct {
	network, method, reason string
}

// counted are the attempts of a group.
type counted struct {
	count int64
	since time.Time
}

// failures are the attempts of the window that has not ended.
type failures struct {
	options FailureOptions

	mu     sync.Mutex
	single int
	groups map[group]*counted
}

func (f *failures) setOptions(o FailureOptions) {
	if o.Window == 0 {
		o.Window = time.Minute
	}
	if o.Single == 0 {
		o.Single = 100
	}
	if o.Groups == 0 {
		o.Groups = 1000
	}
	f.options, f.groups = o, make(map[group]*counted)
}

// Failed records a failed authentication, by itself or, when there were many in this
// window, as one of a count that Run records at its end.
func (r *Recorder) Failed(ctx context.Context, a Attempt) error {
	now := r.options.Now()
	cutAll(&a.Method, &a.Reason, &a.Credential)
	if r.failures.count(a, now) {
		return nil
	}
	attempts := Attempts{
		Network: a.IP.Unmap().WithZone("").String(), Method: a.Method, Reason: a.Reason,
		Credential: a.Credential, Count: 1, Since: formatTime(now),
	}
	return r.append(ctx, Record{Kind: Failed, Attempts: &attempts})
}

// count counts an attempt, unless it has room as a record of its own.
func (f *failures) count(a Attempt, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.single < f.options.Single {
		f.single++
		return false
	}
	f.add(group{network(a.IP), a.Method, a.Reason}, 1, now)
	return true
}

// add counts n attempts of a group, or with those of all groups that have no room.
// It must be called with mu held.
func (f *failures) add(g group, n int64, since time.Time) {
	others := group{}
	named := len(f.groups)
	if f.groups[others] != nil {
		named-- // or the order in which Flush puts groups back would decide who has room
	}
	if f.groups[g] == nil && named >= f.options.Groups {
		g = others
	}
	if f.groups[g] == nil {
		f.groups[g] = &counted{since: since}
	}
	f.groups[g].count += n
}

// network is what clients are counted by: an attacker has many addresses in one.
func network(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 24
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}

// Flush records what was counted and begins a new window. What cannot be recorded is
// counted on.
func (r *Recorder) Flush(ctx context.Context) error {
	f := &r.failures
	f.mu.Lock()
	groups := f.groups
	f.groups, f.single = make(map[group]*counted), 0
	f.mu.Unlock()
	var problems []error
	for g, c := range groups {
		attempts := Attempts{Network: g.network, Method: g.method, Reason: g.reason, Count: c.count, Since: formatTime(c.since)}
		if err := r.append(ctx, Record{Kind: Failed, Attempts: &attempts}); err != nil {
			problems = append(problems, err)
			f.keep(g, c)
		}
	}
	return errors.Join(problems...)
}

// keep counts again what could not be recorded.
func (f *failures) keep(g group, c *counted) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(g, c.count, c.since)
}

// Run records the counts at the end of each window, and when ctx ends. It calls failed,
// which may be nil, with what could not be recorded.
func (r *Recorder) Run(ctx context.Context, failed func(error)) {
	ticker := time.NewTicker(r.failures.options.Window)
	defer ticker.Stop()
	for {
		last := false
		select {
		case <-ctx.Done():
			last = true
		case <-ticker.C:
		}
		if err := r.Flush(context.WithoutCancel(ctx)); err != nil && failed != nil {
			failed(err)
		}
		if last {
			return
		}
	}
}
