package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// steering is what a terminal must not get: it clears the screen.
const steering = "\x1b[2J"

// letters is a NATS with a consumer that puts events aside, and a peer's folder from which
// commands are run. They need no database.
type letters struct {
	*peer
	vars     map[string]string
	bus      *bus.Bus
	consumer *consume.Consumer
	// mended is set when the handler refuses nothing any more.
	mended atomic.Bool
}

// stateless is a consume.State of one process.
type stateless struct{}

func (stateless) Load(context.Context, string) ([]byte, error) { return nil, nil }
func (stateless) Save(context.Context, string, []byte) error   { return nil }

func startLetters(t *testing.T) *letters {
	t.Helper()
	server := natstest.Start(t, 1)
	b, err := bus.Connect(bus.Config{URLs: server.URLs(), Cluster: "ipfs-cluster", Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	eventually(t, time.Minute, "the streams are made", func() error { return b.Ensure(t.Context()) })
	l := &letters{peer: newPeer(t, nobody(), nil, nil), vars: map[string]string{"CLUSTER_EVENTS_URLS": server.URLs()[0]}, bus: b}
	l.consumer, err = consume.New(consume.Options{Bus: b, Name: "index", State: stateless{}, Handler: func(_ context.Context, e events.Event) error {
		if e.Type.Kind() == "pin.accepted" && !l.mended.Load() {
			return fmt.Errorf("%w: its name is not one", consume.ErrRefused)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.consumer.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the consumer has ended: %v", err)
		}
	})
	return l
}

// events runs a command on events that exits with 0.
func (l *letters) events(t *testing.T, args ...string) outcome {
	t.Helper()
	return mustRun(t, l.service(t, l.vars, append([]string{"events"}, args...)...))
}

// publish stores a message in a stream, as it is.
func (l *letters) publish(t *testing.T, subject string, header nats.Header, data []byte) {
	t.Helper()
	if _, err := l.bus.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: header, Data: data}); err != nil {
		t.Fatal(err)
	}
}

// putAside waits until the consumer has put so many messages aside.
func (l *letters) putAside(t *testing.T, n uint64) {
	t.Helper()
	eventually(t, time.Minute, "messages are put aside", func() error {
		if dead := l.consumer.Stats().Dead; dead != n {
			return fmt.Errorf("%d are, want %d", dead, n)
		}
		return nil
	})
}

// letter is a dead letter as list and show print it.
type letter struct {
	ID       uint64
	Consumer string
	Reason   string
	Error    string
	Event    json.RawMessage
	Data     []byte
}

// list has the dead letters by their reasons. Those of one reason are one.
func (l *letters) list(t *testing.T, args ...string) map[string]letter {
	t.Helper()
	all := make(map[string]letter)
	for line := range strings.Lines(l.events(t, append([]string{"dead-letters", "list", "--json"}, args...)...).stdout) {
		var one letter
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%q is not a dead letter: %v", line, err)
		}
		if old, ok := all[one.Reason]; ok {
			t.Errorf("dead letters %d and %d are both %s", old.ID, one.ID, one.Reason)
		}
		all[one.Reason] = one
	}
	return all
}

// sample is an event of the golden files.
func sample(t *testing.T, kind string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../testdata/events/" + kind + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestDeadLetters: an operator lists, shows, retries and drops what a consumer has put aside,
// and nothing of that steers the terminal.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	l := startLetters(t)
	again := nats.Header{"Ics-Kind": {"again"}}
	accepted := sample(t, "pin.accepted")
	malformed := []byte("{" + steering)
	l.publish(t, l.bus.Subject(1), again, bytes.Replace(accepted, []byte("accepted.v1"), []byte("accepted.v2"), 1))
	l.publish(t, l.bus.Subject(1), again, malformed)
	l.publish(t, l.bus.Subject(1), again, accepted)
	l.putAside(t, 3)
	// What has no right to publish events may have that to put letters aside.
	l.publish(t, l.bus.DeadSubject("evil"), nats.Header{"Ics-Reason": {"forged"}, "Ics-Error": {steering + "all is well\u009b2J"}}, malformed)

	text := l.events(t, "dead-letters", "list").stdout
	checkSays(t, text, "CONSUMER", "index", "unknown", "malformed", "failed", "its name is not one", "evil", `"\x1b[2Jall is well\u009b2J"`)
	if strings.ContainsAny(text, "\x1b\u009b") {
		t.Errorf("the list steers the terminal: %q", text)
	}
	all := l.list(t)
	if len(all) != 4 || len(l.list(t, "--consumer", "evil")) != 1 || len(l.list(t, "--consumer", "index")) != 3 {
		t.Fatalf("the dead letters are %+v", all)
	}
	show := func(reason string) (shown letter) {
		t.Helper()
		out := l.events(t, "dead-letters", "show", fmt.Sprint(all[reason].ID)).stdout
		if err := json.Unmarshal([]byte(out), &shown); err != nil || strings.ContainsAny(out, "\x1b\u009b") {
			t.Errorf("show prints %q (%v)", out, err)
		}
		return shown
	}
	if got := show("malformed"); got.Consumer != "index" || !bytes.Equal(got.Data, malformed) || got.Event != nil {
		t.Errorf("the malformed one is %+v", got)
	}
	if got := show("unknown"); !bytes.Contains(got.Event, []byte("pin.accepted.v2")) || got.Data != nil || !strings.Contains(got.Error, "pin.accepted.v2") {
		t.Errorf("the unknown one is %+v", got)
	}
	if got := show("forged"); got.Error != steering+"all is well\u009b2J" {
		t.Errorf("the forged one is %+v", got)
	}

	l.mended.Store(true)
	failed, unknown := all["failed"].ID, all["unknown"].ID
	out := l.events(t, "dead-letters", "retry", fmt.Sprint(failed), fmt.Sprint(unknown)).stdout
	if want := fmt.Sprintf("%d is handed to its consumer again\n%d is handed to its consumer again\n", failed, unknown); out != want {
		t.Errorf("retry says %q, want %q", out, want)
	}
	l.putAside(t, 4) // the unknown one once more
	eventually(t, time.Minute, "what was retried is not among the dead letters", func() error {
		now := l.events(t, "dead-letters", "list", "--json").stdout
		for _, id := range []uint64{failed, unknown} {
			if strings.Contains(now, fmt.Sprintf(`{"id":%d,`, id)) {
				return fmt.Errorf("%d is there:\n%s", id, now)
			}
		}
		return nil
	})
	left := l.list(t)
	if _, there := left["failed"]; there || len(left) != 3 || left["unknown"].ID <= unknown {
		t.Errorf("left are %+v", left)
	}

	// One that is not there does not keep the others.
	got := run(t, l.service(t, l.vars, "events", "dead-letters", "drop", "999", "998", fmt.Sprint(left["malformed"].ID), fmt.Sprint(left["forged"].ID)))
	checkRefused(t, got, "dead letter 999", "dead letter 998", "there is no such dead letter")
	if want := fmt.Sprintf("%d is removed\n%d is removed\n", left["malformed"].ID, left["forged"].ID); got.stdout != want {
		t.Errorf("drop says %q, want %q", got.stdout, want)
	}
	if left := l.list(t); len(left) != 1 || left["unknown"].ID == 0 {
		t.Errorf("left are %+v", left)
	}
	checkRefused(t, run(t, l.service(t, l.vars, "events", "dead-letters", "retry", fmt.Sprint(failed))), "there is no such dead letter")
}

// TestTailOfOwner: tail shows the claims of an owner, and says what is no event without
// letting it steer the terminal.
func TestTailOfOwner(t *testing.T) {
	t.Parallel()
	l := startLetters(t)
	claim := sample(t, "claim.added")
	bobs := bytes.ReplaceAll(claim, []byte("alice@"), []byte("bob@"))
	again := nats.Header{"Ics-Kind": {"again"}}
	l.publish(t, l.bus.Subject(1), again, []byte(`{"specversion":"`+steering+`"`))
	for _, data := range [][]byte{sample(t, "pin.accepted"), bobs, claim, sample(t, "claim.removed"), bobs} {
		l.publish(t, l.bus.Subject(1), again, data)
	}
	owned := func(args ...string) (out []string) {
		t.Helper()
		for _, e := range told(t, l.peer, l.vars, append([]string{"--since", "1h"}, args...)...) {
			if e.Claim == nil {
				t.Fatalf("%q shows %s", args, e.ID())
			}
			out = append(out, strings.TrimSuffix(e.Claim.Owner, "@example.org")+" "+e.Type.Kind())
		}
		return out
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--owner", "alice@example.org", "-n", "2"}, "[alice claim.added alice claim.removed]"},
		{[]string{"--owner", "bob@example.org", "-n", "2"}, "[bob claim.added bob claim.added]"},
		{[]string{"--owner", "bob@example.org", "--owner", "alice@example.org", "-n", "4"}, "[bob claim.added alice claim.added alice claim.removed bob claim.added]"},
		{[]string{"--owner", "alice@example.org", "--type", "claim.removed", "-n", "1"}, "[alice claim.removed]"},
	} {
		if got := fmt.Sprint(owned(test.args...)); got != test.want {
			t.Errorf("%q shows %s, want %s", test.args, got, test.want)
		}
	}
	stderr := l.events(t, "tail", "--since", "1h", "-n", "1").stderr
	checkSays(t, stderr, "a message that is not an event")
	if strings.Contains(stderr, "\x1b") {
		t.Errorf("tail steers the terminal: %q", stderr)
	}
}
