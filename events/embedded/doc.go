// Package embedded is a NATS server in the process, for a cluster of one machine. It
// keeps its streams in a folder and listens on a loopback address, so that programs
// on that machine connect to it by URL, as to any other server. It asks them for no
// password.
//
//	server, err := embedded.Start(ctx, embedded.Config{Folder: folder})
//	…
//	b, err := bus.Connect(bus.Config{URLs: []string{server.URL()}, Replicas: 1})
//	…
//	err = server.Close(ctx)
package embedded
