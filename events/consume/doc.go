// Package consume receives the events of a cluster: each at least once, those with one
// Key in the order of their versions, and none missing, whatever JetStream loses.
//
// The relay of each shard numbers its messages. A consumer keeps, for each of the 16
// shards, the number that it has seen last and how far in time everything was handed to it;
// that is all, however many events there are. A jump of the numbers means that messages are
// missing: the consumer reads the stream again, and then asks the relay to tell again, from
// the database, what was written in that time, until it has all of it. So a stream may lose messages,
// be deleted, or be shorter than a consumer was away.
//
// Handling is idempotent by (Key, Version): a handler is called again with the same event
// when a process ends between its call and the write of the state, and after a replay.
// It must not act on an event whose version is not newer than what it has for the key.
// A consumer drops such events itself as far as it remembers, which is a help and no
// guarantee.
//
// Any number of processes may consume under one name. One works at a time, and another
// takes its place when it is silent, which it is not while its handler runs. When NATS
// cannot hear it, both may work for a moment: what was said of handlers covers that.
//
// An event that cannot be read or handled is put aside, as a DeadLetter, and the
// consumer goes on. It may be put aside twice. Outages do not end it.
package consume
