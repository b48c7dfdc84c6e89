// Package bus is NATS as events need it: a connection that outlasts outages, the
// streams with their limits, numbered messages, requests for what was missed, and
// wake-ups that nobody keeps.
//
// The events of a cluster are in one stream. Each shard has a subject in it, on which
// the shard's relay numbers its messages 1, 2, 3 and so on in each epoch. What
// JetStream loses, as it may lose what it has acknowledged, is seen as a jump of
// these numbers; nothing here relies on the stream, on its consumers' positions, or on
// its window of duplicates to be right.
//
// A message has the kind in the header Ics-Kind:
//
//	event     an events.Event. Ics-Epoch and Ics-N are its number.
//	manifest  an events.Manifest: how far the events are told
//	resume    an events.Resume: from where on they are told, in a new epoch or again
//	replay    an events.Event that is told again. Ics-Epoch is the relay's, Ics-Replay the
//	          replay's name, and Ics-N counts from 1 in it.
//	replayed  an events.Replayed: the end of a replay
//	retry     an events.Event that the consumer in Ics-Consumer had put aside, as Ics-Letter
//	again     an events.Event that an operator wants told once more, to all
//
// Claims have a stream of their own, without numbers: see package claims.
package bus
