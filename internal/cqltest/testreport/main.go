// Command testreport reads the output of go test -json from its input, shows
// what a person wants to see of it, and ends with a line
//
//	N passed, N failed, N skipped
//
// that counts tests and subtests. It exits with 1 if anything failed, a
// package that does not build or ends early included, or if no test ran.
package main

import (
	"fmt"
	"os"
)

func main() {
	ok, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}
