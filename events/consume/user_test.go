package consume_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// user is somebody with some rights, whose work one of works is.
type user struct {
	t       *testing.T
	cluster *natstest.Cluster
	root    *bus.Bus // of one who may do anything
	said    func() string
	refused string // a part of the refusal that is waited for, empty if all goes well
}

func newUser(t *testing.T, r rights, refused string) *user {
	t.Helper()
	cluster := natstest.StartWith(t, 1, natstest.Options{Configure: func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "root", Password: "p"},
			{Username: "user", Password: "p", Permissions: &server.Permissions{
				Publish: permission(r.publish), Subscribe: permission(r.subscribe),
			}},
		}
	}})
	u := &user{t: t, cluster: cluster, refused: refused}
	u.root = u.connect("root", func(*bus.Config) {})
	u.said = warnings(t)
	return u
}

// permission allows nothing but some subjects. An empty list of a server allows all.
func permission(subjects []string) *server.SubjectPermission {
	return &server.SubjectPermission{Allow: append([]string{"nothing"}, subjects...)}
}

func (u *user) connect(name string, change func(*bus.Config)) *bus.Bus {
	u.t.Helper()
	b := connectWith(u.t, u.cluster, func(cfg *bus.Config) {
		cfg.URLs = []string{strings.Replace(cfg.URLs[0], "nats://", "nats://"+name+":p@", 1)}
		change(cfg)
	})
	eventually(u.t, func() string {
		if err := b.Err(); err != nil {
			return err.Error()
		}
		return ""
	})
	return b
}

// bus connects with the user's rights.
func (u *user) bus() *bus.Bus { return u.connect("user", func(*bus.Config) {}) }

// isRefused reports whether the refusal is there that is waited for.
func (u *user) isRefused() bool { return u.refused != "" && strings.Contains(u.said(), u.refused) }

// until waits until f says nothing or the user is refused.
func (u *user) until(f func() string) {
	u.t.Helper()
	eventually(u.t, func() string {
		if u.isRefused() {
			return ""
		}
		return f()
	})
}

// mustBeRefused does the work until the refusal is there.
func (u *user) mustBeRefused(work func(context.Context, *user) error) {
	u.t.Helper()
	ctx, cancel := context.WithCancel(u.t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		for !u.isRefused() && ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
	}()
	err := work(ctx, u)
	if !u.isRefused() {
		u.t.Errorf("nothing says %q: %v\n%s", u.refused, err, u.said())
	}
	cancel()
	<-ended
}
