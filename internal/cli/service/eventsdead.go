package service

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
)

func (cmd *command) deadLettersCommand() cli.Command {
	return cli.Command{
		Name:         "dead-letters",
		Usage:        "what consumers of events could not handle",
		OnUsageError: usageError,
		Description: `
   A consumer puts an event aside that it cannot read or handle, and goes on.
   The reason is "unknown" for events of a later version of this program,
   "malformed" for what is not an event, and "failed" for what its handler
   has refused or failed at. They are kept as long as events are.
`,
		Subcommands: []cli.Command{
			{
				Name: "list", Usage: "shows what was put aside", ArgsUsage: " ", OnUsageError: usageError,
				Flags: []cli.Flag{
					cli.StringFlag{Name: "consumer", Usage: "only what this `CONSUMER` has put aside"},
					cli.BoolFlag{Name: "json", Usage: "one JSON object a line, with the message"},
				},
				Action: cmd.deadLettersList,
			},
			{
				Name: "show", Usage: "shows one with all that is known of it", ArgsUsage: "<id>", OnUsageError: usageError,
				Action: cmd.eachDeadLetter(1, func(ctx context.Context, b *bus.Bus, id uint64) error {
					letter, err := consume.GetDeadLetter(ctx, b, id)
					if err != nil {
						return err
					}
					return cmd.printJSON(shown(letter), "  ")
				}),
			},
			{
				Name: "retry", Usage: "hands some to their consumers again", ArgsUsage: "<id> [<id> ...]", OnUsageError: usageError,
				Action: cmd.eachDeadLetter(0, func(ctx context.Context, b *bus.Bus, id uint64) error {
					if err := consume.RetryDeadLetter(ctx, b, id); err != nil {
						return err
					}
					fmt.Fprintf(cmd.stdout, "%d is handed to its consumer again\n", id)
					return nil
				}),
			},
			{
				Name: "drop", Usage: "removes some for ever", ArgsUsage: "<id> [<id> ...]", OnUsageError: usageError,
				Action: cmd.eachDeadLetter(0, func(ctx context.Context, b *bus.Bus, id uint64) error {
					if err := consume.DropDeadLetter(ctx, b, id); err != nil {
						return err
					}
					fmt.Fprintf(cmd.stdout, "%d is removed\n", id)
					return nil
				}),
			},
		},
		Action: groupAction,
	}
}

// letterJSON is a dead letter as it is printed.
type letterJSON struct {
	ID       uint64         `json:"id"`
	Consumer string         `json:"consumer"`
	At       time.Time      `json:"at"`
	Reason   consume.Reason `json:"reason"`
	Error    string         `json:"error"`
	Subject  string         `json:"subject"`
	Kind     string         `json:"kind,omitempty"`
	Epoch    string         `json:"epoch,omitempty"`
	N        string         `json:"n,omitempty"`
	Size     int            `json:"size"`
	// Event is the message if that is JSON, Data it is otherwise, in base64.
	Event json.RawMessage `json:"event,omitempty"`
	Data  []byte          `json:"data,omitempty"`
}

func shown(l consume.DeadLetter) letterJSON {
	out := letterJSON{
		ID: l.ID, Consumer: l.Consumer, At: l.At.UTC(), Reason: l.Reason, Error: l.Error, Subject: l.Subject,
		Kind: l.Kind, Epoch: l.Epoch, N: l.N, Size: l.Size,
	}
	if json.Valid(l.Data) {
		out.Event = l.Data
	} else {
		out.Data = l.Data
	}
	return out
}

func (cmd *command) deadLettersList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	return cmd.withBus(func(ctx context.Context, _ *peerConfig, b *bus.Bus) error {
		table := newTable(cmd.stdout)
		n := 0
		var failed error
		err := consume.DeadLetters(ctx, b, c.String("consumer"), 0, func(l consume.DeadLetter) bool {
			if n++; c.Bool("json") {
				failed = cmd.printJSON(shown(l), "")
				return failed == nil
			}
			if n == 1 {
				fmt.Fprintln(table, "ID\tCONSUMER\tPUT ASIDE\tREASON\tERROR")
			}
			_, failed = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", l.ID, shownText(l.Consumer), l.At.UTC().Format(time.RFC3339), shownText(string(l.Reason)), oneLine(l.Error))
			return failed == nil
		})
		if err = multierr.Combine(err, failed, table.Flush()); err != nil {
			return err
		}
		if n == 0 && !c.Bool("json") {
			fmt.Fprintln(cmd.stderr, "There are no dead letters.")
		}
		return nil
	})
}

// oneLine cuts a text for a table.
func oneLine(s string) string {
	const most = 100
	runes := []rune(shownText(strings.ReplaceAll(s, "\n", " ")))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}

// eachDeadLetter does something with each of those whose IDs are given, at most so many, 0 for
// any number. What is wrong with one does not hold up the others.
func (cmd *command) eachDeadLetter(most int, do func(context.Context, *bus.Bus, uint64) error) func(*cli.Context) error {
	return func(c *cli.Context) error {
		if c.NArg() == 0 || most > 0 && c.NArg() > most {
			return fmt.Errorf("reading the arguments: give the id of a dead letter, see %s --help", c.App.HelpName)
		}
		var ids []uint64
		for _, text := range c.Args() {
			id, err := strconv.ParseUint(text, 10, 64)
			if err != nil || id == 0 {
				return fmt.Errorf("reading the arguments: %q is not the id of a dead letter: dead-letters list shows them", text)
			}
			ids = append(ids, id)
		}
		return cmd.withBus(func(ctx context.Context, _ *peerConfig, b *bus.Bus) error {
			var failed error
			for _, id := range ids {
				if err := do(ctx, b, id); err != nil {
					failed = multierr.Append(failed, err)
				}
			}
			return failed
		})
	}
}
