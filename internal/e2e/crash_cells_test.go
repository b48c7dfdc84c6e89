package e2e

import (
	"net/url"
	"slices"
)

// written is what becomes of the write of a cell.
type written int

const (
	// notWritten: there is no trace of the write in the table of pins.
	notWritten written = iota
	// fenced: the write has no effect, and will have none.
	fenced
	// done: the write has its effect.
	done
)

// operation is what a client asks for.
type operation struct {
	name string
	// prepare are the options of a pin that is there before, nil for none.
	prepare url.Values
	// pin are those of the pin that is asked for, nil for an unpin.
	pin url.Values
	// expires says that the pin is gone soon.
	expires bool
	// anew says that the back peer is down until the pin that was there before is
	// unpinned and the other one is asked for: upstream refuses that in one step.
	anew bool
}

// onBack stands for the options of a pin on the back peer, whose ID is not known
// yet, and directOnBack for those of a direct one.
var (
	onBack       = url.Values{"on": {"back"}}
	directOnBack = url.Values{"on": {"back"}, "mode": {"direct"}}
)

var (
	opPin      = operation{name: "pin", pin: onBack}
	opPinAll   = operation{name: "pin everywhere, with an expiry", pin: withExpiry("24h")} // has a row in every table
	opUnpin    = operation{name: "unpin", prepare: onBack}
	opUnpinAll = operation{name: "unpin everywhere", prepare: factors(-1, -1)}
	// opShrink takes a pin from one of two peers: from which is not known.
	opShrink  = operation{name: "pin on one instead of two", prepare: factors(2, 2), pin: factors(1, 1)}
	opReplace = operation{name: "direct pin over a recursive one", prepare: onBack, pin: directOnBack, anew: true}
	opExpire  = operation{name: "pin for seconds", pin: withExpiry("8s"), expires: true}
)

func withExpiry(in string) url.Values {
	query := factors(-1, -1)
	query.Set("expire-in", in)
	return query
}

// crashCell is one cell of the matrix.
type crashCell struct {
	// front and back are the points at which the peers are killed, either the
	// one for whichever of them comes by first.
	front, back, either string
	op                  operation
	want                written
	// hang stops the Kubo of the back peer until the crash, so that the work is
	// accepted and not done. The opposite is asked for just before, of another
	// CID.
	hang bool
	// twice kills the back peer at the same point once more, after its restart.
	twice bool
	// short says that the cell is in the slice that every run tests.
	short bool
}

func (c crashCell) String() string {
	text := c.op.name
	for _, point := range []string{c.front, c.back, c.either} {
		if point != "" {
			text += "; " + point
		}
	}
	if c.twice {
		text += ", twice"
	}
	return text
}

// crashCells is the matrix, but for the loops.
func crashCells() []crashCell {
	var cells []crashCell
	for _, op := range []operation{opPin, opPinAll, opUnpin, opUnpinAll} {
		for _, w := range []struct {
			point string
			want  written
		}{{"write: begun", notWritten}, {"write: before its intents", notWritten}, {"write: after its intents", fenced}, {"write: after its CAS", done}} {
			cells = append(cells, crashCell{front: w.point, op: op, want: w.want})
		}
	}
	for _, point := range []string{
		"write: before its row of everywhere", "write: after its row of everywhere",
		"write: before its row of expiries", "write: after its row of expiries",
	} {
		cells = append(cells, crashCell{front: point, op: opPinAll, want: notWritten})
	}
	steps := func(op operation, either bool, points ...string) {
		for _, point := range points {
			cell := crashCell{back: point, op: op, want: done}
			if either {
				cell.back, cell.either = "", point
			}
			cells = append(cells, cell)
		}
	}
	unpins := []string{
		"change: read", "unpin: before the evidence is read", "unpin: before its row", "unpin: after its row", "unpin: before IPFS is asked",
		"unpin: after the answer of IPFS", "unpin: before the row is dropped", "unpin: after the row is dropped",
	}
	steps(opPin, false, "change: read", "pin: before IPFS is asked", "pin: after the answer of IPFS", "pin: before its row", "pin: after its row")
	steps(opReplace, false, "pin: before the row for the wait", "pin: after the row for the wait", "pin: before IPFS is asked",
		"replace: before the recursive pin goes", "replace: after the recursive pin has gone", "pin: after the answer of IPFS", "pin: before its row", "pin: after its row")
	steps(opUnpin, false, unpins...)
	steps(opShrink, true, unpins[1:]...)
	for _, op := range []operation{opPin, opUnpin} {
		for _, point := range []string{"fence: before", "fence: after"} {
			cells = append(cells, crashCell{front: "write: after its intents", back: point, op: op, want: fenced})
		}
		for _, point := range []string{"cursor: before it passes", "cursor: after it passed"} {
			cells = append(cells, crashCell{back: point, op: op, want: done, hang: true})
		}
	}
	for _, point := range []string{"pin: before the row for the wait", "pin: after the row for the wait"} {
		cells = append(cells, crashCell{back: point, op: opPin, want: done, hang: true})
	}
	for _, point := range []string{"pin: before IPFS is asked", "pin: before its row"} {
		cells = append(cells, crashCell{back: point, op: opPin, want: done, twice: true})
	}
	cells = append(cells, crashCell{back: "unpin: before the row is dropped", op: opUnpin, want: done, twice: true})
	for _, point := range []string{"expiry: before", "expiry: after"} {
		cells = append(cells, crashCell{either: point, op: opExpire, want: done})
	}
	for i := range cells {
		cells[i].short = slices.Contains(crashSlice, cells[i].String())
	}
	return cells
}

// crashSlice are the cells that every run tests: of each kind of step the one
// that most depends on the order of what is written.
var crashSlice = []string{
	"pin everywhere, with an expiry; write: after its intents",
	"pin everywhere, with an expiry; write: after its CAS",
	"unpin; write: after its CAS",
	"pin; pin: after the row for the wait",
	"pin; pin: before its row",
	"direct pin over a recursive one; replace: after the recursive pin has gone",
	"unpin; unpin: after its row",
	"unpin; cursor: after it passed",
	"pin; write: after its intents; fence: after",
}
