// Package cmdline has what the commands of several programs have in common: how they say what is
// wrong with a command line, and how they show lists, times and versions.
//
// What it returns as errors is for the user of the command, and says what to do.
package cmdline
