// Package settings reads the configuration of a program that has one of its own, such as the
// gateway: one file of JSON, in which environment variables override single fields. Which fields
// there are the program says, by a struct with json tags; what they may be, too.
//
//	problems, variables := program.Decode(text, os.Environ(), &config)
//
// The variable of a field is the program's prefix and its path in capitals, with underscores in
// place of dots. Lists of texts and numbers have commas; lists of objects are JSON. A member whose
// name begins with two slashes is a comment.
//
// Promised: what is not known, in the file or among the variables, is a Problem, with what was
// probably meant. All that is wrong is told at once: each field, what is wrong with it, and what to
// do. No Problem has anything of what is in a file with a secret.
package settings
