// Package config is the configuration of the billing service: one file of JSON, pin-billing.json,
// in which environment variables override single fields.
//
//	{
//	  "// events": "a name that begins with two slashes is a comment",
//	  "events": {"urls": ["nats://nats1:4222"], "cluster": "ipfs-cluster"},
//	  "claims": {"since": "2026-12-01T00:00:00Z", "start": "accepted"}
//	}
//
// The variable of a field is PIN_BILLING_ and its path in capitals, with underscores in place of
// dots: PIN_BILLING_CLOSE_GRACE is close.grace. Package settings reads them.
//
// Promised: a configuration that Load returns is complete and fits together. All that is wrong is
// reported at once: each field, what is wrong with it, and what to do.
//
// No secret is in it, and none is in an error: secrets are in files of their own, which Read reads.
package config
