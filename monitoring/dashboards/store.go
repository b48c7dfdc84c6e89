package dashboards

// store is about the pinset in the database, as peers use it.
func store() board {
	return board{uid: "ipfs-cluster-store", title: "ipfs-cluster: state store", job: "ipfscluster_state_schema_version",
		about: "Operations on the pinset, conditional updates, and the schema.",
		rows: []row{
			{"Operations", []panel{
				{title: "Operations", unit: "ops", queries: rate("ipfscluster_state_operations_total", "operation")},
				{title: "99 % by operation", unit: "s", queries: p99("ipfscluster_state_operation_duration_seconds", "operation")},
				{title: "Outcomes that are not ok", unit: "ops",
					queries: ask(`sum by (operation, outcome) (rate(ipfscluster_state_operations_total{SEL,outcome!~"ok|not_found"}[RATE]))`, "{{operation}}: {{outcome}}")},
			}},
			{"Conditional updates", []panel{
				{title: "Outcomes", kind: stacked, unit: "ops", about: "applied, conflict: somebody else was first, unknown: the answer was lost.",
					queries: rate("cql_client_cas_total", "result")},
				{title: "Conflicts by operation", unit: "ops", queries: rate("ipfscluster_cas_conflicts_total", "operation")},
				{title: "Rounds", unit: "short", about: "How many rounds an operation took until its conditional update was applied.",
					queries: quantiles("ipfscluster_cas_rounds")},
			}},
			{"Statements", []panel{
				{title: "Requests by statement", unit: "ops", queries: rate("cql_client_requests_total", "statement")},
				{title: "99 % by statement", unit: "s", queries: p99("cql_client_request_duration_seconds", "statement")},
				{title: "Schema version", unit: "short", about: "It differs only while a new version is being rolled out.",
					queries: ask(`max by (instance) (ipfscluster_state_schema_version{SEL})`, "{{instance}}")},
			}},
		}}
}
