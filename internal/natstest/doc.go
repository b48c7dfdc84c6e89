// Package natstest gives tests real NATS servers with JetStream, which run in the
// test's process: one, or three that replicate, each reached through links that a
// test can cut.
//
//	cluster := natstest.Start(t, 3)
//	conn, err := nats.Connect(strings.Join(cluster.URLs(), ","))
//	…
//	cluster.Kill(cluster.Leader(t, "my-stream"))
//
// A process cannot be killed from inside: Kill cuts the links of a server before it
// stops it, so that the others do not hear of it, but what it has acknowledged is
// on disk afterwards. Wipe loses that.
package natstest
