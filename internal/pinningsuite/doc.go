// Package pinningsuite runs the compliance suite of the Pinning Services API on a server:
// npm's @ipfs-shipyard/pinning-service-compliance 1.8.1, by the specification v1.0.0.
//
//	suite := pinningsuite.Install(t)
//	for _, check := range suite.Run(t, pinningsuite.Target{API: url, Token: token}).Checks {
//		…
//	}
//
// The first Install on a machine has npm fetch the suite (98 MB), by the versions and
// checksums in testdata/package-lock.json, into the user's cache directory. A run takes
// a minute, since the suite makes one request a second, and counts all pins: nobody else
// may make pins with that token meanwhile. Runs do not disturb each other.
//
// A test without Node.js is skipped, and says why; NODE_REQUIRED=1 makes it fail.
package pinningsuite
