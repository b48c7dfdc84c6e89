package dashboards

// overview is what an operator looks at first: both service levels, and what they hang on.
func overview() board {
	return board{uid: "ipfs-cluster-overview", title: "ipfs-cluster: overview", job: "ipfscluster_ready",
		about: "Both service levels, and what they hang on. The other dashboards say why.",
		rows: []row{
			{"Service levels", []panel{
				{title: "Pins in time, last hour", kind: number, unit: "percentunit", steps: []float64{.95, .98}, below: true,
					about: "Share of pins of content that peers could find which were pinned within 60 s. The promise is 95 %.",
					queries: ask(`1 - sum(increase(ipfscluster_pin_slo_events_total{SEL,result="late",content="available"}[1h])) / `+
						`sum(increase(ipfscluster_pin_slo_events_total{SEL,result=~"good|late",content="available"}[1h]))`, "in time")},
				{title: "Drift, upper bound", kind: number, unit: "percentunit", steps: []float64{.003, .005},
					about:   "What IPFS holds differs from what it should hold by no more than this, with a confidence of 95 %. The promise is 0.5 %.",
					queries: ask(`max(ipfscluster_drift_upper95{SEL})`, "drift")},
				{title: "Oldest pin under way", kind: number, unit: "s", steps: []float64{30, 60},
					about:   "How long the pin has waited that has waited longest.",
					queries: ask(`max(ipfscluster_pin_oldest_pending_seconds{SEL})`, "oldest")},
				{title: "Peers that are ready", kind: number, unit: "short",
					about:   "How many peers say that they are ready, of those that are scraped.",
					queries: ask(`sum(ipfscluster_ready{SEL})`, "ready")},
				{title: "Peers that are dead", kind: number, unit: "short", steps: []float64{1},
					about:   "How many peers have no heartbeat, as the one sees it that sees most.",
					queries: ask(`max(ipfscluster_peers{SEL,state="dead"})`, "dead")},
				{title: "Database serves", kind: number, unit: "short", steps: []float64{1}, below: true,
					about:   "1 if the database serves the requests of every process, 0 if there is one that it does not serve.",
					queries: ask(`min(cql_client_serving{SEL})`, "serves")},
				{title: "How long pins take", unit: "s", steps: []float64{60}, about: "From the acceptance of a pin until it is pinned, at each peer that it is for.",
					queries: quantiles("ipfscluster_pin_latency_seconds")},
				{title: "Pins in time and late", kind: stacked, unit: "ops", about: "Pins are counted when they are pinned, or late as soon as 60 s have passed.",
					queries: ask(`sum by (result, content) (rate(ipfscluster_pin_slo_events_total{SEL}[RATE]))`, "{{result}}, {{content}}")},
				{title: "Drift", unit: "short", about: "Pins that are missing, too many, or pinned in another way, by the last whole comparison.",
					queries: ask(`sum by (kind) (ipfscluster_drift_pins{SEL})`, "{{kind}}")},
			}},
			{"What is asked and done", []panel{
				{title: "Operations on the pinset", unit: "ops", queries: rate("ipfscluster_state_operations_total", "operation")},
				{title: "Operations by outcome", kind: stacked, unit: "ops", queries: rate("ipfscluster_state_operations_total", "outcome")},
				{title: "Pins by status", kind: stacked, unit: "short", about: "What peers have recorded of what they hold.",
					queries: ask(`sum by (status) (ipfscluster_tracker_pins{SEL})`, "{{status}}")},
			}},
			{"What it hangs on", []panel{
				{title: "Requests to the database, 99 %", unit: "s", queries: ask(
					`histogram_quantile(0.99, sum by (le) (rate(cql_client_request_duration_seconds_bucket{SEL}[RATE])))`, "99 %")},
				{title: "Feed lag", unit: "s", steps: []float64{30, 60}, about: "How far peers are behind what has changed.",
					queries: ask(`max by (instance) (ipfscluster_feed_lag_seconds{SEL})`, "{{instance}}")},
				{title: "IPFS, 99 %", unit: "s", queries: p99("ipfscluster_kubo_request_duration_seconds", "operation")},
			}},
		}}
}
