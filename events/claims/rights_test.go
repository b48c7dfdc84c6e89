package claims_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// documentedRights reads the table on claims in docs/receiving-events.md, by the first cell.
func documentedRights(t *testing.T) map[string]*server.Permissions {
	t.Helper()
	page, err := os.ReadFile("../../docs/receiving-events.md")
	must(t, err)
	_, section, ok := strings.Cut(string(page), "\n## Claims\n")
	if !ok {
		t.Fatal("the page says nothing of claims")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	subjects := func(cell string) *server.SubjectPermission {
		var all []string
		for _, code := range regexp.MustCompile("`[^` ]+`").FindAllString(cell, -1) {
			all = append(all, strings.ReplaceAll(strings.Trim(code, "`"), "NAME", "c"))
		}
		return &server.SubjectPermission{Allow: all}
	}
	table := make(map[string]*server.Permissions)
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.Contains(cells[2], "`") {
			table[strings.TrimSpace(cells[1])] = &server.Permissions{Publish: subjects(cells[2]), Subscribe: subjects(cells[3])}
		}
	}
	return table
}

// TestRights: the documented rights are enough for who tells claims and who receives them.
func TestRights(t *testing.T) {
	table := documentedRights(t)
	if len(table) != 2 || table["a gateway"] == nil || table["a consumer"] == nil {
		t.Fatalf("the table has %v", table)
	}
	cluster := natstest.StartWith(t, 1, natstest.Options{Configure: func(opts *server.Options) {
		opts.Users = []*server.User{
			{Username: "gateway", Password: "p", Permissions: table["a gateway"]}, {Username: "consumer", Password: "p", Permissions: table["a consumer"]},
		}
	}})
	all := added(0, 20)
	p := claims.NewPublisher(connectAs(t, cluster, "gateway"), nil)
	must(t, p.Publish(t.Context(), all[:10]))
	var l ledger
	refused := false
	l.refuse = func([]claims.Delivery) error {
		if !refused {
			refused = true
			return errRefused
		}
		return nil
	}
	c := start(t, connectAs(t, cluster, "consumer"), "c", l.handle)
	eventually(t, func() string { // the oldest is read
		if lag, err := c.Lag(t.Context()); err != nil {
			return err.Error()
		} else if lag.Waiting > 0 && lag.Oldest.IsZero() {
			t.Errorf("the lag is %+v", lag)
		}
		return l.lacks(all[:10])
	})
	must(t, p.Publish(t.Context(), all[10:]))
	eventually(t, func() string { return l.lacks(all) })
	idle(t, c)
}
