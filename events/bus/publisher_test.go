package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

func at(n int) time.Time { return time.Unix(1_000_000+int64(n), 0).UTC() }

func isError(err, want error, says string) bool {
	return errors.Is(err, want) && strings.Contains(err.Error(), says)
}

// batch returns messages with times.
func batch(times ...int) []bus.Message {
	var out []bus.Message
	for _, n := range times {
		out = append(out, bus.Message{ID: fmt.Sprint("id", n), At: at(n), Data: []byte(fmt.Sprint("event ", n))})
	}
	return out
}

// stored returns what is in the stream, one line for each message.
func stored(t *testing.T, b *bus.Bus) []string {
	t.Helper()
	stream, err := b.JetStream().Stream(t.Context(), b.Stream())
	must(t, err)
	state := stream.CachedInfo().State
	var lines []string
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		must(t, err)
		h, err := b.Header(m.Subject, m.Header)
		must(t, err)
		line := fmt.Sprintf("%d %s", h.Shard, h.Kind)
		switch h.Kind {
		case bus.KindManifest:
			m, err := events.ParseManifest(m.Data)
			must(t, err)
			line += fmt.Sprintf(" %d.%d through %d latest %d", m.Epoch, m.N, m.Through.Unix()-1_000_000, max(0, m.Latest.Unix()-1_000_000))
		case bus.KindResume:
			r, err := events.ParseResume(m.Data)
			must(t, err)
			line += fmt.Sprintf(" %d.%d after %d from %d", r.Epoch, r.N, r.After, r.From.Unix()-1_000_000)
		case bus.KindReplayed:
			r, err := events.ParseReplayed(m.Data)
			must(t, err)
			line += fmt.Sprintf(" %s.%d from %d through %d", r.Replay, r.N, r.From.Unix()-1_000_000, r.Through.Unix()-1_000_000)
		default:
			line += strings.TrimRight(" "+h.Replay, " ") + fmt.Sprintf(" %d.%d %s", h.Epoch, h.N, m.Data)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestPublisherNumbers(t *testing.T) {
	b := connect(t, natstest.Start(t, 1), nil)
	p := b.NewPublisher(3, 7, at(5))
	must(t, p.Manifest(t.Context()))
	must(t, p.Publish(t.Context(), batch(6, 9), at(7)))
	must(t, p.Publish(t.Context(), nil, at(8)))
	must(t, p.Publish(t.Context(), batch(8, 9), at(6))) // 9 for the second time
	must(t, p.Manifest(t.Context()))
	must(t, b.NewPublisher(3, 8, at(8)).Publish(t.Context(), batch(6), at(9)))
	want := []string{
		"3 resume 7.0 after 0 from 5",
		"3 manifest 7.0 through 5 latest 0",
		"3 event 7.1 event 6",
		"3 event 7.2 event 9",
		"3 event 7.3 event 8",
		"3 event 7.4 event 9",
		"3 manifest 7.4 through 8 latest 9",
		"3 resume 8.0 after 0 from 8",
		"3 event 8.1 event 6",
	}
	if got := stored(t, b); !slices.Equal(got, want) {
		t.Errorf("the stream has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !p.Through().Equal(at(8)) {
		t.Errorf("it is through until %s", p.Through())
	}
}

// TestPublishAgain shows that a batch that has failed is published again under new
// numbers, with word of that, also into a stream that was deleted.
func TestPublishAgain(t *testing.T) {
	b := connect(t, natstest.Start(t, 1), nil)
	p := b.NewPublisher(0, 1, at(1))
	must(t, p.Publish(t.Context(), batch(2), at(2)))
	must(t, b.JetStream().DeleteStream(t.Context(), b.Stream()))
	if err := p.Publish(t.Context(), batch(3, 4), at(4)); err == nil {
		t.Fatal("a batch was published into a stream that was deleted")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Publish(ended, batch(3, 4), at(4)); err == nil {
		t.Fatal("a batch was published although its context has ended")
	}
	must(t, p.Manifest(t.Context()))
	must(t, p.Publish(t.Context(), batch(3, 4), at(4)))
	must(t, p.Manifest(t.Context()))
	want := []string{
		"0 resume 1.3 after 1 from 2",
		"0 manifest 1.3 through 2 latest 2",
		"0 event 1.4 event 3",
		"0 event 1.5 event 4",
		"0 manifest 1.5 through 4 latest 4",
	}
	if got := stored(t, b); !slices.Equal(got, want) {
		t.Errorf("the stream has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestManifestMakesStream shows that a shard without changes has its say in a stream that
// was deleted.
func TestManifestMakesStream(t *testing.T) {
	b := connect(t, natstest.Start(t, 1), nil)
	p := b.NewPublisher(0, 1, at(1))
	must(t, p.Publish(t.Context(), batch(2), at(2)))
	must(t, p.Manifest(t.Context()))
	must(t, b.JetStream().DeleteStream(t.Context(), b.Stream()))
	if err := p.Manifest(t.Context()); err == nil {
		t.Fatal("a manifest was published into a stream that was deleted")
	}
	must(t, p.Manifest(t.Context()))
	want := []string{"0 resume 1.1 after 1 from 2", "0 manifest 1.1 through 2 latest 2"}
	if got := stored(t, b); !slices.Equal(got, want) {
		t.Errorf("the stream has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestEpochIsUsedOnce shows that numbers of somebody else's epoch are noticed.
func TestEpochIsUsedOnce(t *testing.T) {
	b := connect(t, natstest.Start(t, 1), nil)
	must(t, b.NewPublisher(0, 1, at(1)).Publish(t.Context(), batch(2), at(2)))
	if err := b.NewPublisher(0, 1, at(1)).Publish(t.Context(), batch(2), at(2)); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("a second publisher of an epoch: %v", err)
	}
}

func TestReplays(t *testing.T) {
	b := connect(t, natstest.Start(t, 1), nil)
	must(t, b.Ensure(t.Context()))
	if _, err := b.AskReplay(t.Context(), 2, at(1), at(5)); !isError(err, bus.ErrNoRelay, "shard 2") {
		t.Errorf("without a relay: %v", err)
	}
	asked := make(chan [2]time.Time, 1)
	stop, err := b.AnswerReplays(2, func(from, to time.Time) (string, error) {
		if to.Before(at(3)) {
			return "", fmt.Errorf("nothing is kept before %s", at(3))
		}
		asked <- [2]time.Time{from, to}
		return "r1", nil
	})
	must(t, err)
	name, err := b.AskReplay(t.Context(), 2, time.Time{}, at(5))
	must(t, err)
	if got := <-asked; name != "r1" || !got[0].IsZero() || !got[1].Equal(at(5)) {
		t.Errorf("replay %q was asked for %v", name, got)
	}
	if _, err := b.AskReplay(t.Context(), 2, at(1), at(2)); !isError(err, bus.ErrRefused, "nothing is kept before") {
		t.Errorf("a relay that refuses: %v", err)
	}
	must(t, stop())
	if _, err := b.AskReplay(t.Context(), 2, at(1), at(5)); !isError(err, bus.ErrNoRelay, "") {
		t.Errorf("after the relay has stopped: %v", err)
	}

	r := b.NewReplay(2, 4, "r1", at(1), at(5))
	must(t, r.Publish(t.Context(), batch(2, 3)))
	must(t, r.Publish(t.Context(), batch(4)))
	must(t, r.End(t.Context()))
	again := b.NewReplay(2, 4, "r2", at(1), at(2))
	must(t, again.Publish(t.Context(), batch(2)))
	must(t, again.End(t.Context()))
	want := []string{
		"2 replay r1 4.1 event 2", "2 replay r1 4.2 event 3", "2 replay r1 4.3 event 4", "2 replayed r1.3 from 1 through 5",
		"2 replay r2 4.1 event 2", "2 replayed r2.1 from 1 through 2",
	}
	if got := stored(t, b); !slices.Equal(got, want) {
		t.Errorf("the stream has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWake(t *testing.T) {
	cluster := natstest.Start(t, 1)
	sleeper, waker := connect(t, cluster, nil), connect(t, cluster, nil)
	woken := make(chan string, 10)
	stop, err := sleeper.OnWake([]string{"*", "events/3", "12D3KooW"}, func(feed string) { woken <- feed })
	must(t, err)
	// A request over the same connection is answered when the subscription is known.
	must(t, sleeper.Ensure(t.Context()))
	for _, feed := range []string{"other", "events/3", "*", "12D3KooW"} {
		must(t, waker.Wake(feed))
	}
	got := []string{<-woken, <-woken, <-woken}
	slices.Sort(got)
	if want := []string{"*", "12D3KooW", "events/3"}; !slices.Equal(got, want) {
		t.Errorf("woken are %q, want %q", got, want)
	}
	must(t, stop())
}

// FuzzHeader shows that nothing that is published to a shard's subject is taken for what
// it is not.
func FuzzHeader(f *testing.F) {
	b, err := bus.Connect(bus.Config{URLs: []string{"nats://127.0.0.1:1"}})
	must(f, err)
	f.Cleanup(func() { _ = b.Close(context.Background()) })
	f.Add("ipfs-cluster.events.3", "event", "7", "1", "", "")
	f.Add("ipfs-cluster.events.15", "replay", "7", "1", "r", "")
	f.Add("ipfs-cluster.events.0", "retry", "", "", "", "c")
	f.Add("ipfs-cluster.events.16", "manifest", "", "", "", "")
	f.Add("ipfs-cluster.events.03", "event", "7", "1", "", "")
	f.Add("ipfs-cluster.events.3", "event", "-7", "1", "", "")
	f.Add("ipfs-cluster.events.3", "event", "7", "0", "", "")
	f.Fuzz(func(t *testing.T, subject, kind, epoch, n, replay, consumer string) {
		h, err := b.Header(subject, map[string][]string{
			"Ics-Kind": {kind}, "Ics-Epoch": {epoch}, "Ics-N": {n}, "Ics-Replay": {replay}, "Ics-Consumer": {consumer},
		})
		if err != nil {
			if isError(err, events.ErrUnknown, "") == isError(err, events.ErrMalformed, "") {
				t.Fatalf("the error is of no kind or of two: %v", err)
			}
			return
		}
		if b.Subject(h.Shard) != subject || string(h.Kind) != kind {
			t.Fatalf("%+v is not of %s, a %s", h, subject, kind)
		}
		switch h.Kind {
		case bus.KindEvent, bus.KindReplay:
			if h.Epoch <= 0 || h.N == 0 || (h.Replay == "") == (h.Kind == bus.KindReplay) {
				t.Fatalf("%+v has no number", h)
			}
		case bus.KindRetry:
			if h.Consumer == "" || h.Consumer != consumer {
				t.Fatalf("%+v is for nobody, or not for %q", h, consumer)
			}
		case bus.KindManifest, bus.KindResume, bus.KindReplayed:
		default:
			t.Fatalf("%+v is of a kind that there is not", h)
		}
	})
}
