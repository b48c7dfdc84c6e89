package dashboards

// client is about the connections to the database and what is sent over them.
func client() board {
	return board{uid: "ipfs-cluster-cql", title: "ipfs-cluster: CQL client", job: "cql_client_serving",
		about: "The client's side of the database: of peers and of gateways.",
		rows: []row{
			{"Requests", []panel{
				{title: "Outcomes", kind: stacked, unit: "ops", queries: rate("cql_client_requests_total", "outcome")},
				{title: "How long requests take", unit: "s", queries: quantiles("cql_client_request_duration_seconds")},
				{title: "99 % by statement", unit: "s", queries: p99("cql_client_request_duration_seconds", "statement")},
				{title: "Under way", unit: "short", queries: ask(`sum by (instance) (cql_client_in_flight{SEL})`, "{{instance}}")},
				{title: "Attempts that failed", unit: "ops",
					queries: ask(`sum by (result, code) (rate(cql_client_attempts_total{SEL,result!="ok"}[RATE]))`, "{{result}}, code {{code}}")},
				{title: "Attempts by number", kind: stacked, unit: "ops", queries: rate("cql_client_attempts_total", "attempt")},
			}},
			{"Retries and load", []panel{
				{title: "Retries", unit: "ops", queries: rate("cql_client_retries_total", "reason")},
				{title: "Given up", unit: "ops", queries: rate("cql_client_given_up_total", "reason")},
				{title: "Refused for load", unit: "ops", queries: []query{total("cql_client_overloaded_total", "refused")}},
			}},
			{"Connections", []panel{
				{title: "Connections by host", unit: "short", queries: ask(`sum by (host) (cql_client_connections{SEL})`, "{{host}}")},
				{title: "Connections that failed or were cut", unit: "ops", queries: []query{
					total("cql_client_connection_failures_total", "failed"), total("cql_client_cut_connections_total", "cut: the host hung")}},
				{title: "Hosts", unit: "short", queries: ask(`max by (state) (cql_client_hosts{SEL})`, "{{state}}")},
				{title: "Database serves", unit: "short", queries: ask(`min by (instance) (cql_client_serving{SEL})`, "{{instance}}")},
				{title: "Clock skew to the nodes", unit: "s", queries: ask(`max by (instance) (cql_client_clock_skew_seconds{SEL})`, "{{instance}}")},
			}},
		}}
}
