// Package consumer holds the tests of what README.md says to those who use the
// module from outside: the replace line that a module needs which imports the
// store, what happens without it, and that go install cannot install the
// command by its version.
//
// The tests run the go command in modules of their own, in temporary folders.
// All they need is in the module cache once our module has been built. The
// program of the consumer pins in a real database (see package cqltest).
package consumer
