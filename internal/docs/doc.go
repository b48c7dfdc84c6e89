// Package docs tests the documentation: links lead somewhere, and commands,
// their flags, make targets, environment variables and tests that are named
// exist. Known are make, go, our service, stock ipfs-cluster-ctl and docker
// compose. It needs no database and no Docker, and is part of make check.
package docs
