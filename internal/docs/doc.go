// Package docs tests the documentation: links lead somewhere, and commands,
// flags, make targets, environment variables and tests that are named exist.
// It needs no database and is part of make check.
package docs
