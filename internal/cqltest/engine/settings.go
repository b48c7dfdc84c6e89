package engine

import (
	"fmt"
	"path/filepath"
	"strings"
)

// arguments returns the command line of the JVM: a small heap, the cheapest
// collector and compiler, and none of the waits that a first start has for
// the sake of other nodes.
func (n *node) arguments(lib string) []string {
	args := openJDK()
	if n.volatile {
		args = append(args, keepSchemaInMemory, keepSystemInMemory)
	}
	tmp := filepath.Join(n.dir, "tmp")
	return append(args,
		"-Xms256M", "-Xmx512M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-XX:-UsePerfData", // it would leave files in /tmp
		"-Djava.io.tmpdir="+tmp,
		"-Djna.tmpdir="+tmp,
		"-Dcassandra.storagedir="+n.dir,
		"-Dcassandra.config=file://"+filepath.Join(n.dir, "cassandra.yaml"),
		"-Dcassandra-foreground=yes",
		"-Dcassandra.skip_wait_for_gossip_to_settle=0",
		"-Dcassandra.ring_delay_ms=1000",
		"-Dcassandra.superuser_setup_delay_ms=0",
		"-Dcassandra.memtable.row_overhead_size="+rowOverhead,
		"-Dlogback.configurationFile="+filepath.Join(n.dir, "logback.xml"),
		"-cp", n.dir+":"+filepath.Join(lib, "*"),
		"org.apache.cassandra.service.CassandraDaemon",
	)
}

// rowOverhead is what a row takes in a memtable beside its cells, in bytes. A node that
// is not told fills a table with 100,000 rows to measure it, which is a third of the
// work of a start, and gets the same.
const rowOverhead = "180"

// openJDK are the arguments that every program of Cassandra needs.
func openJDK() []string {
	var args []string
	for _, p := range strings.Fields(addExports) {
		args = append(args, "--add-exports", p+"=ALL-UNNAMED")
	}
	for _, p := range strings.Fields(addOpens) {
		args = append(args, "--add-opens", p+"=ALL-UNNAMED")
	}
	return args
}

// What Options.Volatile does to a node.
const (
	keepSchemaInMemory = "-Dcassandra.test.flush_local_schema_changes=false"
	keepSystemInMemory = "-Dcassandra.unsafesystem=true" // each TRUNCATE flushes system.local else
)

// The parts of the JDK that Cassandra reaches into on Java 17.
const (
	addExports = `java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch
		java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server
		java.sql/java.sql java.base/java.lang.ref jdk.unsupported/sun.misc`
	addOpens = `java.base/java.lang.module java.base/jdk.internal.loader java.base/jdk.internal.ref
		java.base/jdk.internal.reflect java.base/jdk.internal.math java.base/jdk.internal.module
		java.base/jdk.internal.util.jar java.base/sun.nio.ch java.base/java.io java.base/java.lang
		java.base/java.nio java.base/java.util java.base/java.util.concurrent
		java.base/java.util.concurrent.atomic java.base/java.lang.reflect
		jdk.management/com.sun.management.internal`
)

const logback = `<configuration>
  <appender name="S" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level %date %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="S"/></root>
</configuration>
`

// yaml returns cassandra.yaml. Snapshots on DROP are off, as tests drop many
// keyspaces; permissions are not cached, so that a GRANT counts at once.
func (n *node) yaml() string {
	text := fmt.Sprintf(`cluster_name: ipfs-cluster-scylla tests
num_tokens: 16
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
data_file_directories: ["%[1]s/data"]
commitlog_directory: "%[1]s/commitlog"
cdc_raw_directory: "%[1]s/cdc"
saved_caches_directory: "%[1]s/saved"
hints_directory: "%[1]s/hints"
commitlog_disk_access_mode: legacy
concurrent_compactors: 1
auto_snapshot: false
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{seeds: "%[2]s:%[3]d"}]
listen_address: %[4]s
rpc_address: %[4]s
storage_port: %[3]d
native_transport_port: %[5]d
endpoint_snitch: GossipingPropertyFileSnitch
auto_bootstrap: false
paxos_variant: v2
`, n.dir, n.seed, storagePort, n.addr, cqlPort)
	if n.noHints {
		text += "hinted_handoff_enabled: false\n"
	}
	// With one of these modes Cassandra refuses the settings of the other.
	if n.periodic {
		text += "commitlog_sync: periodic\ncommitlog_sync_period: 10000ms\n"
	} else {
		text += "commitlog_sync: batch\n"
	}
	if n.auth {
		text += `authenticator: {class_name: org.apache.cassandra.auth.PasswordAuthenticator}
authorizer: {class_name: org.apache.cassandra.auth.CassandraAuthorizer}
role_manager: {class_name: org.apache.cassandra.auth.CassandraRoleManager}
roles_validity: 0ms
permissions_validity: 0ms
credentials_validity: 0ms
`
	}
	return text
}
