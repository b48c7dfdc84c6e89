// Package membership knows who is in the cluster and who of them is alive, from
// one table that all peers write their heartbeats to. Nothing is sent from peer
// to peer.
//
// A Monitor is upstream's PeerMonitor component. It answers from memory.
package membership
