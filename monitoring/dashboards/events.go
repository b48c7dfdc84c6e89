package dashboards

// events is about what is told on NATS.
func events() board {
	return board{uid: "ipfs-cluster-events", title: "ipfs-cluster: events", job: "ipfscluster_events_connected",
		about: "What peers tell on NATS JetStream. Where events are off, the panels are empty.",
		rows: []row{
			{"Events", []panel{
				{title: "Published", unit: "ops", queries: []query{total("ipfscluster_events_published_total", "published"),
					total("ipfscluster_events_publish_failures_total", "failed")}},
				{title: "Lag", unit: "s", steps: []float64{60}, queries: ask(`max by (instance) (ipfscluster_events_lag_seconds{SEL})`, "{{instance}}")},
				{title: "Shards", unit: "short", about: "Who tells the events of how many shards.",
					queries: ask(`sum by (instance) (ipfscluster_events_shards_held{SEL})`, "{{instance}}")},
				{title: "Connected to NATS", unit: "short", queries: ask(`min by (instance) (ipfscluster_events_connected{SEL})`, "{{instance}}")},
			}},
		}}
}
