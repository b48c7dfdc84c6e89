package service

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli"
)

// confirm asks question and tells whether the answer is yes. No answer, also
// because the input has ended, means no. After three answers that are neither
// it gives up.
func (cmd *command) confirm(question string) (bool, error) {
	for range 3 {
		answer, err := cmd.ask(question + " Continue? [y/n]: ")
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

// confirmUnlessForced is confirm, and yes with --force.
func (cmd *command) confirmUnlessForced(c *cli.Context, question string) (bool, error) {
	if forced(c) {
		return true, nil
	}
	return cmd.confirm(question)
}

// ask writes prompt and returns the next line of the input without the spaces
// around it. It is empty when the input has ended.
func (cmd *command) ask(prompt string) (string, error) {
	if _, err := fmt.Fprint(cmd.stdout, prompt); err != nil {
		return "", err
	}
	line, err := cmd.stdin.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	return strings.TrimSpace(line), nil
}
