// Package consumer holds the tests of what README.md says to those who use the
// module from outside: the replace line that a module needs which imports the
// store, what happens without it, and that go install cannot install the
// command by its version.
//
// The tests run the go command in modules of their own, in temporary folders.
// What they need is in the module cache, except for the driver that the
// replace line replaces: the first run on a machine downloads it.
package consumer
