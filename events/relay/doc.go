// Package relay tells the events of a pinset on NATS JetStream.
//
// The feeds of events in the database are the only durable source. For each of their
// shards one relay at a time holds a lease, reads the feed, and publishes what is
// settled as package bus numbers it. Any number of relays share the shards. What was
// published twice, because a relay has died before it had saved how far it was, or one
// that was paused goes on, consumers drop by version or by epoch.
//
// A relay that cannot publish leaves its cursors where they are, and its shards to
// others after a while. Nothing gets lost as long as the database keeps the feeds.
package relay
