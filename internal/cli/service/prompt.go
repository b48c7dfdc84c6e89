package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli"
)

// confirm asks question and tells whether the answer is yes. No answer, also
// because the input has ended, means no. After three answers that are neither
// it gives up.
func (cmd *command) confirm(ctx context.Context, question string) (bool, error) {
	for range 3 {
		answer, err := cmd.ask(ctx, question+" Continue? [y/n]: ")
		if err != nil {
			return false, err
		}
		switch answer {
		case "y", "Y":
			return true, nil
		case "n", "N", "":
			return false, nil
		}
		fmt.Fprintln(cmd.stdout, "Please press either 'y' or 'n'")
	}
	return false, nil
}

// confirmUnlessForced is confirm, and yes with --force after the name of the
// subcommand. The --force before it does not count, as under stock.
func (cmd *command) confirmUnlessForced(ctx context.Context, c *cli.Context, question string) (bool, error) {
	if c.Bool("force") {
		return true, nil
	}
	return cmd.confirm(ctx, question)
}

// ask writes prompt and returns the next line of the input without the spaces
// around it. It is empty when the input has ended. An end of ctx, as by a
// signal, ends the wait for the answer.
func (cmd *command) ask(ctx context.Context, prompt string) (string, error) {
	if _, err := fmt.Fprint(cmd.stdout, prompt); err != nil {
		return "", err
	}
	type answer struct {
		line string
		err  error
	}
	answers := make(chan answer, 1) // a read cannot be ended: it may stay behind
	go func() {
		line, err := cmd.stdin.ReadString('\n')
		answers <- answer{line, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return "", fmt.Errorf("reading the answer: %w", a.err)
		}
		return strings.TrimSpace(a.line), nil
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for the answer: %w", context.Cause(ctx))
	}
}
