// Package service puts the rooms of billing together: it opens the keyspace, counts what the gateway
// and the cluster tell, closes days, and answers the API. Any number of instances share a keyspace
// and the events.
//
// Open returns when the database is there. NATS need not be: what is told is counted when it is, and
// no day is closed before. What fails in the background is logged and tried again, until Close.
package service
