// Package section is state.events of service.json: whether events are told, and by which
// NATS servers.
//
//	"state": {
//	  "scylla": {},
//	  "events": {"urls": ["nats://nats1:4222", "nats://nats2:4222", "nats://nats3:4222"]}
//	}
//
// Events are on if the section is there, be it empty, or if one of the environment
// variables CLUSTER_EVENTS_URLS and CLUSTER_EVENTS_EMBEDDED_ENABLED asks for them.
package section
