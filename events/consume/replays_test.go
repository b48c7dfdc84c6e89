package consume_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// TestReplayWithLoss shows that a replay counts only if all of its messages were seen, and
// if it was asked for.
func TestReplayWithLoss(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	truth := tell(t, b.NewPublisher(0, 1, time.Now()), cids(3)...)
	stream, err := b.JetStream().Stream(t.Context(), b.Stream())
	must(t, err)
	must(t, stream.Purge(t.Context()))
	var told []bus.Message
	for _, e := range truth {
		data, err := e.Encode()
		must(t, err)
		told = append(told, bus.Message{ID: e.ID(), At: e.Time(), Data: data})
	}

	asked := make(chan [2]time.Time, 100)
	count := 0
	stop, err := b.AnswerReplays(0, func(from, to time.Time) (string, error) {
		count++
		asked <- [2]time.Time{from, to}
		return fmt.Sprint("r", count), nil
	})
	must(t, err)
	defer func() { must(t, stop()) }()
	var tb table
	c := start(t, connect(t, cluster), "c", &memory{}, &tb, func(o *consume.Options) { o.Since = time.Now().Add(-10 * time.Minute) })
	must(t, b.NewPublisher(0, 2, time.Now()).Manifest(t.Context()))

	ask := <-asked
	// One that nobody has asked for does not count: it may have been read before.
	must(t, b.NewReplay(0, 2, "r0", time.Unix(1, 0), time.Now().Add(time.Hour)).End(t.Context()))
	for n := range 3 { // the second is lost
		if n != 1 {
			m := &nats.Msg{Subject: b.Subject(0), Data: told[n].Data, Header: nats.Header{
				"Ics-Kind": {"replay"}, "Ics-Replay": {"r1"}, "Ics-Epoch": {"2"}, "Ics-N": {fmt.Sprint(n + 1)},
			}}
			_, err := b.JetStream().PublishMsg(t.Context(), m)
			must(t, err)
		}
	}
	data := fmt.Sprintf(`{"type":"com.github.ipfs-cluster.scylla.feed.replayed.v1","shard":0,"epoch":2,"replay":"r1","n":3,"from":%q,"through":%q}`,
		ask[0].Format(time.RFC3339Nano), ask[1].Format(time.RFC3339Nano))
	_, err = b.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: b.Subject(0), Data: []byte(data), Header: nats.Header{"Ics-Kind": {"replayed"}}})
	must(t, err)
	eventually(t, func() string {
		select {
		case ask = <-asked:
			return ""
		default:
		}
		if c.Stats().Replays > 0 {
			t.Fatal("a replay counts that was not there, or was not asked for")
		}
		return "it does not ask again"
	})
	whole := b.NewReplay(0, 2, "r2", ask[0], ask[1])
	must(t, whole.Publish(t.Context(), told))
	must(t, whole.End(t.Context()))
	eventually(t, func() string { return tb.differs(truth) })
	eventually(t, c.missing)
}
