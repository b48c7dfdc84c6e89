package dashboards

// gateway is about pin-gateway.
func gateway() board {
	return board{uid: "ipfs-cluster-gateway", title: "ipfs-cluster: gateway", job: "pin_gateway_policy_info",
		about: "The door: requests, refusals, records, and the work on pins.",
		rows: []row{
			{"Requests", []panel{
				{title: "Requests by status", kind: stacked, unit: "ops", queries: rate("pin_gateway_requests_total", "status")},
				{title: "How long requests take", unit: "s", queries: quantiles("pin_gateway_request_duration_seconds")},
				{title: "99 % by route", unit: "s", queries: p99("pin_gateway_request_duration_seconds", "route")},
				{title: "Failures by reason", unit: "ops",
					queries: ask(`sum by (reason) (rate(pin_gateway_requests_total{SEL,reason!="none"}[RATE]))`, "{{reason}}")},
				{title: "Refused credentials", unit: "ops",
					queries: ask(`sum by (method, reason) (rate(pin_gateway_refused_credentials_total{SEL}[RATE]))`, "{{method}}: {{reason}}")},
				{title: "By credential", unit: "ops", queries: rate("pin_gateway_requests_total", "method")},
			}},
			{"Records, policies, work", []panel{
				{title: "Records that were not kept", unit: "ops", queries: []query{
					{`sum by (sink) (rate(pin_gateway_audit_sink_failures_total{SEL}[RATE]))`, "{{sink}}"},
					total("pin_gateway_audit_checkpoint_failures_total", "checkpoints")}},
				{title: "Versions of policies", unit: "short", about: "More than one for long: instances do not have the same files.",
					queries: ask(`count by (version) (pin_gateway_policy_info{SEL})`, "{{version}}")},
				{title: "Policies that did not load", unit: "ops", queries: []query{total("pin_gateway_policy_reload_failures_total", "failed")}},
				{title: "Asked of the cluster", unit: "ops",
					queries: ask(`sum by (operation, result) (rate(pin_gateway_peer_requests_total{SEL}[RATE]))`, "{{operation}}: {{result}}")},
				{title: "CIDs that wait", unit: "short", queries: []query{
					{`sum(pin_gateway_pins_queue_length{SEL})`, "changed"}, {`sum(pin_gateway_pins_polls{SEL})`, "looked at again"}}},
			}},
		}}
}
