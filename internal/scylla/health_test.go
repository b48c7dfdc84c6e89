package scylla

import (
	"context"
	"errors"
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
		}, func(net.IP) {})
		defer h.close()
		ctx, trail := withTrail(t.Context())
		order := func(want ...*gocql.HostInfo) {
			t.Helper()
			if got := ask(h.order(ctx, inOrder(a, b, c))); !slices.Equal(got, want) {
				t.Errorf("asked %v, want %v", got, want)
			}
		}
		order(a, b, c)
		h.note(a, gocql.ErrTimeoutNoResponse)
		synctest.Wait()
		order(b, c, a)
		observer{h}.note(ctx, b, errors.New("refused"))
		order(c, a, b)
		if trail.handed() != b {
			t.Errorf("the trail says that %v was asked last", trail.handed())
		}
		answers.Store(true)
		time.Sleep(2 * probeEvery)
		ctx, _ = withTrail(t.Context())
		order(a, b, c)
	})
}

// TestSilentHost shows that a host from which nothing comes is cut off after a
// while, once, and one that answers anything at all is not.
func TestSilentHost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		probe  error // what the questions end with
		other  bool  // another request is answered meanwhile
		server error // with this
		cut    bool
	}{
		{"silent", gocql.ErrTimeoutNoResponse, false, nil, true},
		{"answers", nil, false, nil, false},
		{"answers another request", gocql.ErrTimeoutNoResponse, true, nil, false},
		{"refuses another request", gocql.ErrTimeoutNoResponse, true, &gocql.RequestErrUnavailable{}, false},
		{"the driver has noticed", gocql.ErrNoPool, false, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				host := testHost("a")
				var cuts []net.IP
				asked := 0
				h := newHealth(func(_ context.Context, _ string, limit time.Duration) error {
					asked++
					if tt.probe != nil {
						time.Sleep(limit) // simulated time
					}
					return tt.probe
				}, func(ip net.IP) { cuts = append(cuts, ip) })
				defer h.close()
				h.note(host, gocql.ErrTimeoutNoResponse)
				h.note(host, gocql.ErrTimeoutNoResponse) // it is watched already
				time.Sleep(1500 * time.Millisecond)
				if tt.other {
					h.note(host, tt.server)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := len(cuts) > 0; got != tt.cut || len(cuts) > 1 {
					t.Errorf("cut off %d times", len(cuts))
				}
				if len(cuts) == 1 && !cuts[0].Equal(host.ConnectAddress()) {
					t.Errorf("cut off %s", cuts[0])
				}
				if asked > 4 {
					t.Errorf("asked %d times in %s", asked, silence)
				}
				if h.isSilent(host.HostID()) || h.suspects.Load() != 0 {
					t.Error("it is still asked last")
				}
			})
		})
	}
}
