// Package promtest gives tests a real Prometheus and a real Alertmanager, the tools that
// come with them, and a receiver of what Alertmanager sends.
//
//	live := promtest.StartLive(t, "../../monitoring", []string{"peers"}, map[string][]string{"ipfs-cluster": {address}})
//	…
//	live.WantPage(t, promtest.Page{Alert: "PeerDown", Component: "peers", …}, time.Minute)
//
// The first Find on a machine has apt download the packages of Debian, Prometheus 2.42 and
// Alertmanager 0.25 on Debian 12 (30 MB), and unpacks them into the user's cache directory.
// Nothing is installed and no service is started. Where there is no apt, those programs are
// used that PATH has. They listen on free ports of 127.0.0.1, keep their data in a directory
// of the test, and are killed when the test ends, or by the kernel when the process of the
// test does.
//
// A test without them is skipped, and says why; MONITORING_REQUIRED=1 makes it fail.
package promtest
