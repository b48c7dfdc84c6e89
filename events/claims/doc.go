// Package claims carries the events of claims, which gateways tell, to who keeps accounts of
// them: each at least once, through outages of either side.
//
// They are in a stream of their own, in 16 subjects by the request. A Publisher returns when the
// stream has acknowledged what it was given; who calls it keeps what is not. A Consumer
// acknowledges when its handler has made durable what it was given. Any number of processes
// publish, and consume under one name. So the order is open and every event may come
// more than once, also long after the stream's window of duplicates: a handler goes by the ID of
// an event, of which every copy is the same, byte by byte, and not by what came before.
//
// JetStream may lose what it has acknowledged, and the stream drops what is older than its
// limits. Nothing here sees that: who must have all claims compares with what a gateway
// exports (GET /admin/tenants/{tenant}/claims).
package claims
