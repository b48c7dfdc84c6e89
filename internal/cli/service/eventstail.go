package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
)

func (cmd *command) eventsTailCommand() cli.Command {
	return cli.Command{
		Name:         "tail",
		Usage:        "shows events as they are told",
		ArgsUsage:    " ",
		OnUsageError: usageError,
		Description: `
   Writes one event a line, as CloudEvents in JSON, until it is stopped. See
   docs/events.md for what is in them. Several --type, --cid or --owner show
   what matches one of each.

   It is for watching. A program that must see every event needs a consumer:
   docs/receiving-events.md.

   Examples:
     events tail
     events tail --since 1h --type pin.pinned,pin.failed
     events tail --cid bafy... --count 1
`,
		Flags: []cli.Flag{
			cli.StringSliceFlag{Name: "type, t", Usage: "only events of these `TYPES`, as pin.accepted"},
			cli.StringSliceFlag{Name: "cid", Usage: "only events about this `CID`"},
			cli.StringSliceFlag{Name: "owner", Usage: "only claims of this `OWNER`"},
			cli.StringFlag{Name: "since", Usage: "begin with what was told after a `TIME`, or so long ago, as far as the stream keeps it"},
			cli.IntFlag{Name: "count, n", Usage: "end after so many events"},
		},
		Action: cmd.eventsTail,
	}
}

func (cmd *command) eventsTail(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	filter, err := newEventFilter(c.StringSlice("type"), c.StringSlice("cid"), c.StringSlice("owner"))
	if err != nil {
		return err
	}
	var since time.Time
	if text := c.String("since"); text != "" {
		if since, err = timeOrAge("since", text); err != nil {
			return err
		}
	}
	left := c.Int("count")
	if left < 0 {
		return errors.New("reading --count: it is negative")
	}
	var failed error
	err = cmd.withBus(func(ctx context.Context, _ *peerConfig, b *bus.Bus) error {
		return consume.Tail(ctx, b, since, func(e events.Event, data []byte, err error) bool {
			switch {
			case err != nil:
				fmt.Fprintf(cmd.stderr, "a message that is not an event: %s\n", shownText(err.Error()))
				return true
			case !filter.matches(e):
				return true
			}
			var line bytes.Buffer // others may have published it on several
			if failed = json.Compact(&line, data); failed == nil {
				_, failed = fmt.Fprintf(cmd.stdout, "%s\n", shownJSON(line.Bytes()))
			}
			left--
			return left != 0 && failed == nil
		})
	})
	switch {
	case failed != nil:
		return fmt.Errorf("writing the output: %w", failed)
	case errors.Is(err, context.Canceled): // it was stopped, as it is to be
		return nil
	}
	return err
}

// eventFilter says which events are shown.
type eventFilter struct {
	kinds, cids, owners []string
}

func newEventFilter(kinds, cids, owners []string) (eventFilter, error) {
	var f eventFilter
	var known []string
	for _, t := range events.Types() {
		known = append(known, t.Kind())
	}
	for _, kind := range fields(kinds) {
		kind = events.Type(kind).Kind() // the long form will do, too
		if !slices.Contains(known, kind) {
			return f, fmt.Errorf("reading --type: there are no events of type %q, but of %s", kind, strings.Join(known, ", "))
		}
		f.kinds = append(f.kinds, kind)
	}
	wanted, err := decodeCIDs(cids)
	if err != nil {
		return f, err
	}
	for _, c := range wanted {
		f.cids = append(f.cids, c.String())
	}
	f.owners = owners
	return f, nil
}

// fields are the parts of comma-separated lists.
func fields(lists []string) (all []string) {
	for _, list := range lists {
		for _, f := range strings.Split(list, ",") {
			if f = strings.TrimSpace(f); f != "" {
				all = append(all, f)
			}
		}
	}
	return all
}

func (f eventFilter) matches(e events.Event) bool {
	return (len(f.kinds) == 0 || slices.Contains(f.kinds, e.Type.Kind())) &&
		(len(f.cids) == 0 || slices.Contains(f.cids, e.Subject())) &&
		(len(f.owners) == 0 || e.Claim != nil && slices.Contains(f.owners, e.Claim.Owner))
}
