package e2e

import (
	"net/url"
	"slices"
)

// onServer begins the name of a point at which not the process is killed that comes by but
// NATS.
const onServer = "server, "

// come is how processes come by the points of a cell.
type come int

const (
	// working: they do their work, and are killed at it.
	working come = iota
	// takenUp: they have taken up what is asked for, and will not be told of it again by
	// their feeds, before the back peer does it.
	takenUp
	// takingOver: what is asked for happens while NATS is down. Then the relay of the shard
	// is killed, and NATS is back when another peer takes its place.
	takingOver
	// missing: while the consumer is down the stream is lost in which it was told.
	missing
	// refusing: the handler of the consumer refuses the events.
	refusing
)

// eventCell is one cell of the matrix of events.
type eventCell struct {
	op operation
	// front and back are the points at which the peers are killed, relay that for
	// whichever of them is the relay of the shard.
	front, back, relay string
	consumer           string
	come               come
	// short says that the cell is in the slice that every run tests.
	short bool
}

// points are those of the cell.
func (c eventCell) points() []string {
	return slices.DeleteFunc([]string{c.front, c.back, c.relay, c.consumer}, func(p string) bool { return p == "" })
}

func (c eventCell) String() string {
	how := map[come]string{working: "", takenUp: "it was taken up before", takingOver: "a relay takes over", missing: "the stream is lost", refusing: "the handler refuses"}[c.come]
	text := c.op.name
	if how != "" {
		text += "; " + how
	}
	for _, p := range c.points() {
		text += "; " + p
	}
	return text
}

var (
	opBoth = operation{name: "pin on both", pin: factors(2, 2)}
	// opUpdate pins again, with another name.
	opUpdate    = operation{name: "update", prepare: factors(2, 2), pin: named()}
	opUnpinBoth = operation{name: "unpin of both", prepare: factors(2, 2)}
)

func named() url.Values {
	query := factors(2, 2)
	query.Set("name", "another")
	return query
}

// eventCells is the matrix of events.
func eventCells() []eventCell {
	var cells []eventCell
	for _, op := range []operation{opBoth, opUpdate, opUnpinBoth} {
		for _, point := range []string{"write: its events are announced", "write: before the wake-up"} {
			cells = append(cells, eventCell{op: op, front: point})
		}
	}
	for _, point := range []string{"status: not told", "status: told, no row"} {
		cells = append(cells, eventCell{op: opPin, back: point}, eventCell{op: opUpdate, back: point}, eventCell{op: opPin, back: point, come: takenUp})
	}
	for _, point := range []string{"dropped: not told", "dropped: told, the row is there"} {
		cells = append(cells, eventCell{op: opUnpin, back: point}, eventCell{op: opUnpin, back: point, come: takenUp})
	}
	for _, point := range []string{
		"batch: sent", "batch: stored", "batch: published, the cursor is not saved", "manifest: published",
		"events: before the cursor passes", "events: after the cursor passed",
	} {
		cells = append(cells, eventCell{op: opBoth, relay: point}, eventCell{op: opUnpinBoth, relay: point})
	}
	for _, point := range []string{"batch: sent", "batch: stored"} {
		cells = append(cells, eventCell{op: opBoth, relay: onServer + point}, eventCell{op: opUnpinBoth, relay: onServer + point})
	}
	for _, point := range []string{"relay: it has the lease", "relay: the feed is open", "relay: the resume is published"} {
		cells = append(cells, eventCell{op: opBoth, relay: point, come: takingOver})
	}
	for _, point := range []string{
		"consumer: before the handler", "consumer: handled", "consumer: handled, not saved", "consumer: saved, not acknowledged", "consumer: acknowledged",
	} {
		cells = append(cells, eventCell{op: opBoth, consumer: point}, eventCell{op: opUnpinBoth, consumer: point})
	}
	for _, point := range []string{"consumer: saved, not acknowledged", "consumer: acknowledged"} {
		cells = append(cells, eventCell{op: opBoth, consumer: onServer + point})
	}
	for _, point := range []string{"consumer: put aside, not acknowledged", onServer + "consumer: put aside, not acknowledged"} {
		cells = append(cells, eventCell{op: opBoth, consumer: point, come: refusing})
	}
	for _, point := range []string{"consumer: it waits for a replay", "consumer: it has a part of a replay", "consumer: it has a replay", ""} {
		cells = append(cells, eventCell{op: opBoth, consumer: point, come: missing})
	}
	for _, point := range []string{"replay: in the middle", onServer + "replay: in the middle"} {
		cells = append(cells, eventCell{op: opBoth, relay: point, come: missing})
	}
	cells = append(cells,
		eventCell{op: opBoth, relay: "batch: published, the cursor is not saved", consumer: "consumer: handled, not saved"},
		eventCell{op: opUnpinBoth, front: "write: before the wake-up", consumer: "consumer: saved, not acknowledged"},
		eventCell{op: opExpire, relay: "batch: stored", consumer: "consumer: handled"},
	)
	for i := range cells {
		cells[i].short = slices.Contains(eventSlice, cells[i].String())
	}
	return cells
}

// eventSlice are the cells that every run tests.
var eventSlice = []string{
	"pin on both; batch: published, the cursor is not saved; consumer: handled, not saved",
	"unpin of both; write: before the wake-up; consumer: saved, not acknowledged",
}
