package scylla

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
)

// testHost is a host whose address ends with the letter.
func testHost(letter string) *gocql.HostInfo {
	host := gocql.HostInfoBuilder{
		HostId:         gocql.MustRandomUUID().String(),
		ConnectAddress: net.IPv4(127, 0, 0, letter[0]),
		Port:           9042,
	}.Build()
	return &host
}

type selected struct{ host *gocql.HostInfo }

func (s selected) Info() *gocql.HostInfo { return s.host }
func (selected) Token() gocql.Token      { return nil }
func (selected) Mark(error)              {}

// inOrder hands out the hosts in the order given.
func inOrder(hosts ...*gocql.HostInfo) gocql.NextHost {
	return func() gocql.SelectedHost {
		if len(hosts) == 0 {
			return nil
		}
		host := hosts[0]
		hosts = hosts[1:]
		return selected{host}
	}
}

func nobody() []string { return nil }

func ask(next gocql.NextHost) (out []*gocql.HostInfo) {
	for host := next(); host != nil; host = next() {
		out = append(out, host.Info())
	}
	return out
}

// TestOrder shows that hosts that hang, and those that have failed the request,
// are asked last, and that none is left out.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := testHost("a"), testHost("b"), testHost("c")
		var answers atomic.Bool
		h := newHealth(func(context.Context, string, time.Duration) error {
			if answers.Load() {
				return nil
			}
			return gocql.ErrTimeoutNoResponse
		}, func(net.IP) {}, nobody)
		defer h.close()
		ctx, trail := withTrail(t.Context())
		order := func(want ...*gocql.HostInfo) {
			t.Helper()
			if got := ask(h.order(ctx, inOrder(a, b, c), &knownHosts{})); !slices.Equal(got, want) {
				t.Errorf("asked %v, want %v", got, want)
			}
		}
		order(a, b, c)
		h.note(a, gocql.ErrTimeoutNoResponse)
		synctest.Wait()
		order(b, c, a)
		observer{h}.note(ctx, b, 0, errors.New("refused"))
		order(c, b, a)
		if trail.handed() != a {
			t.Errorf("the trail says that %v was asked last", trail.handed())
		}
		answers.Store(true)
		time.Sleep(2 * probeEvery)
		ctx, _ = withTrail(t.Context())
		order(a, b, c)
	})
}

// TestSilentHost shows that a host from which nothing comes is cut off after a
// while, once, and one that answers anything at all is not. It takes longer where
// no other host serves.
func TestSilentHost(t *testing.T) {
	host, other := testHost("a"), testHost("b")
	for _, tt := range []struct {
		name     string
		probe    error // what the questions end with
		others   []*gocql.HostInfo
		silent   bool  // so are the others
		answered bool  // another request is, meanwhile
		server   error // with this
		cut      time.Duration
	}{
		{"silent", gocql.ErrTimeoutNoResponse, []*gocql.HostInfo{host, other}, false, false, nil, silence},
		{"silent and alone", gocql.ErrTimeoutNoResponse, []*gocql.HostInfo{host}, false, false, nil, loneSilence},
		{"all are silent", gocql.ErrTimeoutNoResponse, []*gocql.HostInfo{host, other}, true, false, nil, loneSilence},
		{"its connections are full", gocql.ErrNoStreams, []*gocql.HostInfo{host, other}, false, false, nil, silence},
		{"answers", nil, nil, false, false, nil, 0},
		{"answers another request", gocql.ErrTimeoutNoResponse, nil, false, true, nil, 0},
		{"refuses another request", gocql.ErrTimeoutNoResponse, nil, false, true, &gocql.RequestErrUnavailable{}, 0},
		{"the driver has noticed", gocql.ErrNoPool, nil, false, false, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cuts []net.IP
				var cutAfter time.Duration
				begun := time.Now()
				asked := 0
				h := newHealth(func(_ context.Context, id string, limit time.Duration) error {
					if id == host.HostID() {
						asked++
					}
					if tt.probe != nil {
						time.Sleep(limit) // simulated time
					}
					return tt.probe
				}, func(ip net.IP) {
					if ip.Equal(host.ConnectAddress()) {
						cuts, cutAfter = append(cuts, ip), time.Since(begun)
					}
				}, func() (ids []string) {
					for _, h := range tt.others {
						ids = append(ids, h.HostID())
					}
					return ids
				})
				defer h.close()
				h.note(host, gocql.ErrTimeoutNoResponse)
				h.note(host, gocql.ErrTimeoutNoResponse) // it is watched already
				if tt.silent {
					h.note(other, gocql.ErrTimeoutNoResponse)
				}
				time.Sleep(1500 * time.Millisecond)
				if tt.answered {
					h.note(host, tt.server)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if len(cuts) > 1 || cutAfter != tt.cut {
					t.Errorf("cut off %d times, after %s, want %s", len(cuts), cutAfter, tt.cut)
				}
				if limit := int(tt.cut/probeEvery) + 1; asked > max(limit, 2) {
					t.Errorf("asked %d times", asked)
				}
				if h.isSilent(host.HostID()) || h.suspects.Load() != 0 {
					t.Error("it is still asked last")
				}
			})
		})
	}
}

// TestSuspectedAnew shows that what is found out about a host does not end a
// later suspicion, and that nobody is suspected after the end.
func TestSuspectedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := testHost("a")
		h := newHealth(func(_ context.Context, _ string, limit time.Duration) error {
			time.Sleep(limit) // simulated time
			return gocql.ErrTimeoutNoResponse
		}, func(net.IP) {}, nobody)
		h.suspect(host)
		time.Sleep(500 * time.Millisecond)
		h.heard(host.HostID())
		h.suspect(host)
		time.Sleep(time.Second) // the first question has ended
		synctest.Wait()
		if !h.isSilent(host.HostID()) || h.suspects.Load() != 1 {
			t.Errorf("silent %t, %d suspects", h.isSilent(host.HostID()), h.suspects.Load())
		}
		h.close()
		h.suspect(host)
		if h.suspects.Load() != 0 {
			t.Error("a host was suspected after the end")
		}
	})
}

// TestAttemptSpentElsewhere shows that a host is suspected of an attempt that
// ended late only if it had its time.
func TestAttemptSpentElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(func(ctx context.Context, _ string, _ time.Duration) error {
			<-ctx.Done()
			return ctx.Err()
		}, func(net.IP) {}, nobody)
		defer h.close()
		mine, cancel := context.WithTimeoutCause(t.Context(), readAttempt, errAttempt)
		defer cancel()
		callers, cancelCallers := context.WithTimeout(t.Context(), readAttempt)
		defer cancelCallers()
		time.Sleep(2 * readAttempt) // simulated time
		host := testHost("a")
		observer{h}.note(mine, host, time.Millisecond, context.DeadlineExceeded)
		observer{h}.note(callers, host, readAttempt, context.DeadlineExceeded)
		if h.isSilent(host.HostID()) {
			t.Error("suspected although it was hardly asked, or for the caller's limit")
		}
		observer{h}.note(mine, host, readAttempt, context.DeadlineExceeded)
		if !h.isSilent(host.HostID()) {
			t.Error("not suspected although it had the whole attempt")
		}
	})
}

// TestCutOffIsSilence shows what is said of a request whose connection was closed
// from here, as its host did not answer: that, and not that the connection broke.
func TestCutOffIsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := testHost("a")
		db := &DB{limit: time.Minute}
		closed := make(chan struct{})
		db.health = newHealth(func(_ context.Context, _ string, limit time.Duration) error {
			time.Sleep(limit) // simulated time
			return gocql.ErrTimeoutNoResponse
		}, func(net.IP) {
			close(closed)
			time.Sleep(time.Second) // the connections are closed one after the other
		}, nobody)
		defer db.health.close()
		told := func(attempt func(context.Context, time.Duration) error) string {
			ctx, tr := withTrail(t.Context())
			err := db.try(ctx, tr, new(call), time.Minute, func(ctx context.Context, limit time.Duration) error {
				tr.hand(host)
				return attempt(ctx, limit)
			})
			if err == nil {
				return ""
			}
			return db.reason(err)
		}
		breaks := func(context.Context, time.Duration) error { return net.ErrClosed }
		isCut := func(context.Context, time.Duration) error {
			<-closed
			time.Sleep(time.Second / 2)
			return gocql.ErrConnectionClosed
		}
		for _, tt := range []struct {
			name    string
			attempt func(context.Context, time.Duration) error
			want    string
		}{
			{"before", breaks, "the connection to the database broke"},
			{"waits until it is cut off", isCut, "the database did not answer in time"},
			{"on the next connection", breaks, "the database did not answer in time"},
			{"waits until its connection is closed too", func(context.Context, time.Duration) error { time.Sleep(time.Second); return io.EOF }, "the database did not answer in time"},
			{"is refused meanwhile", func(context.Context, time.Duration) error { return &gocql.RequestErrUnavailable{} }, "too few nodes of the database are up"},
			{"pause", func(context.Context, time.Duration) error { time.Sleep(time.Second); return nil }, ""},
			{"later", breaks, "the connection to the database broke"},
		} {
			if got := told(tt.attempt); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
		}
	})
}
