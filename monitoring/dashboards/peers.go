package dashboards

// peers is about the feed of changes, the work on pins, and the loops.
func peers() board {
	return board{uid: "ipfs-cluster-feed-peers", title: "ipfs-cluster: feed and peers", job: "ipfscluster_ready",
		about: "How peers learn of changes, what they do with pins, and what the loops find.",
		rows: []row{
			{"Feed", []panel{
				{title: "Lag", unit: "s", queries: ask(`max by (instance) (ipfscluster_feed_lag_seconds{SEL})`, "{{instance}}")},
				{title: "Changes", unit: "ops", queries: []query{
					total("ipfscluster_feed_rows_total", "read"), total("ipfscluster_feed_fenced_total", "fenced"),
					total("ipfscluster_feed_strays_total", "late"), total("ipfscluster_feed_repaired_total", "appended again")}},
				{title: "Changes that wait", unit: "short", queries: []query{
					{`sum(ipfscluster_feed_pending{SEL})`, "not settled"}, {`sum(ipfscluster_feed_lag_rows{SEL})`, "not read"}}},
			}},
			{"Pins", []panel{
				{title: "Phases, 95 %", unit: "s", about: "noticed: until the peer knew of the pin; queued: until IPFS was asked; fetching: until it was pinned.",
					queries: ask(`histogram_quantile(0.95, sum by (le, phase) (rate(ipfscluster_pin_phase_seconds_bucket{SEL}[RATE])))`, "{{phase}}")},
				{title: "Queue", unit: "short", queries: ask(`sum by (priority) (ipfscluster_tracker_queue{SEL})`, "{{priority}}")},
				{title: "Operations", unit: "ops", queries: ask(
					`sum by (operation, outcome) (rate(ipfscluster_tracker_operations_total{SEL}[RATE]))`, "{{operation}}: {{outcome}}")},
				{title: "IPFS, 99 %", unit: "s", queries: p99("ipfscluster_kubo_request_duration_seconds", "operation")},
				{title: "Errors of IPFS", unit: "ops", queries: rate("ipfscluster_kubo_request_errors_total", "operation")},
				{title: "Pins under way", unit: "short", queries: ask(`sum by (instance) (ipfscluster_pin_pending{SEL})`, "{{instance}}")},
			}},
			{"Peers and loops", []panel{
				{title: "Peers by state", unit: "short", queries: ask(`max by (state) (ipfscluster_peers{SEL})`, "{{state}}")},
				{title: "Age of the own heartbeat", unit: "s", queries: ask(`max by (instance) (ipfscluster_heartbeat_age_seconds{SEL})`, "{{instance}}")},
				{title: "Moves of pins", unit: "ops", queries: rate("ipfscluster_repin_moves_total", "result")},
				{title: "Moves are stopped", unit: "short", about: "1 while so many peers are dead that nothing is moved.",
					queries: ask(`max(ipfscluster_repin_stopped{SEL})`, "stopped")},
				{title: "Expiry, 99 % late by", unit: "s", queries: ask(
					`histogram_quantile(0.99, sum by (le) (rate(ipfscluster_expiry_lateness_seconds_bucket{SEL}[RATE])))`, "99 %")},
				{title: "Repairs of the scrub", unit: "ops", queries: rate("ipfscluster_scrub_repairs_total", "what")},
			}},
			{"Drift", []panel{
				{title: "By kind", unit: "short", queries: ask(`sum by (kind) (ipfscluster_drift_pins{SEL})`, "{{kind}}")},
				{title: "Upper bound", unit: "percentunit", steps: []float64{.005}, queries: ask(`max by (instance) (ipfscluster_drift_upper95{SEL})`, "{{instance}}")},
				{title: "Age of the last comparison", unit: "s", queries: ask(
					`time() - (ipfscluster_drift_last_sweep_timestamp_seconds{SEL} > 0)`, "{{instance}}")},
			}},
		}}
}
