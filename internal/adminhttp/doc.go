// Package adminhttp is the listener for those who run a process: its metrics, whether it is
// alive and ready, and profiles of it. Nobody is asked who they are and nothing is
// encrypted, so that it belongs on a loopback address, or on a network of the operators.
//
//	/metrics         in the format of Prometheus
//	/livez           the process answers; nothing else is looked at
//	/readyz          whether it can do its work, and if not why, as JSON
//	/debug/pprof/    profiles, as net/http/pprof has them
//
// It knows nothing of what the process does: the caller gives it the metrics and the checks.
package adminhttp
