package dashboards

// scylladb is about the servers, by the names that ScyllaDB publishes. There is no ScyllaDB
// where the tests run: the names are compared with its monitoring stack's, and nothing else.
func scylladb() board {
	return board{uid: "ipfs-cluster-scylladb", title: "ScyllaDB as ipfs-cluster uses it", job: "scylla_reactor_utilization",
		about: "The servers' side, by the metrics that ScyllaDB exports (port 9180). Not tried on a live ScyllaDB by this project's tests: " +
			"the names were compared with those of scylla-monitoring.",
		rows: []row{
			{"Load", []panel{
				{title: "Load of the shards", unit: "percent", queries: ask(`avg by (instance) (scylla_reactor_utilization{SEL})`, "{{instance}}")},
				{title: "Requests", unit: "ops", queries: []query{
					total("scylla_cql_reads", "reads"), total("scylla_cql_inserts", "inserts"), total("scylla_cql_updates", "updates"), total("scylla_cql_deletes", "deletes")}},
				{title: "Refused for load", unit: "ops", queries: []query{total("scylla_transport_requests_shed", "shed")}},
			}},
			{"Latency", []panel{
				{title: "Reads, 99 %", unit: "µs", queries: ask(
					`histogram_quantile(0.99, sum by (le) (rate(scylla_storage_proxy_coordinator_read_latency_bucket{SEL}[RATE])))`, "99 %")},
				{title: "Writes, 99 %", unit: "µs", queries: ask(
					`histogram_quantile(0.99, sum by (le) (rate(scylla_storage_proxy_coordinator_write_latency_bucket{SEL}[RATE])))`, "99 %")},
				{title: "Conditional updates, 99 %", unit: "µs", queries: ask(
					`histogram_quantile(0.99, sum by (le) (rate(scylla_storage_proxy_coordinator_cas_write_latency_bucket{SEL}[RATE])))`, "99 %")},
			}},
			{"Trouble", []panel{
				{title: "Timeouts and unavailable", unit: "ops", queries: []query{
					total("scylla_storage_proxy_coordinator_read_timeouts", "reads timed out"), total("scylla_storage_proxy_coordinator_write_timeouts", "writes timed out"),
					total("scylla_storage_proxy_coordinator_read_unavailable", "reads unavailable"), total("scylla_storage_proxy_coordinator_write_unavailable", "writes unavailable")}},
				{title: "Hints", unit: "ops", queries: []query{total("scylla_hints_manager_written", "written"), total("scylla_hints_manager_sent", "sent")}},
				{title: "Compactions under way", unit: "short", queries: ask(`sum by (instance) (scylla_compaction_manager_compactions{SEL})`, "{{instance}}")},
				{title: "State of the nodes", unit: "short", about: "3 is normal.", queries: ask(`max by (instance) (scylla_node_operation_mode{SEL})`, "{{instance}}")},
				{title: "Stalls of the reactor", unit: "ops", queries: []query{total("scylla_stall_detector_reported", "stalls")}},
				{title: "Row cache", unit: "ops", queries: []query{total("scylla_cache_row_hits", "hits"), total("scylla_cache_row_misses", "misses")}},
			}},
		}}
}
