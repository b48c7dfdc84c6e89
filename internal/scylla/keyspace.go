package scylla

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ddlTimeout bounds one change of the schema, which takes seconds on a busy
// cluster.
const ddlTimeout = 30 * time.Second

// ensureKeyspace makes the keyspace if it is missing and may be made, and
// refuses one in which conditional updates do not work.
func (c *contact) ensureKeyspace(ctx context.Context) error {
	conf := c.conf
	var found bool
	err := c.within(ctx, 2*questionTimeout, func() (err error) {
		if found, err = c.hasKeyspace(); err != nil || !found {
			return err
		}
		return c.checkTablets()
	})
	if err != nil || found {
		return err
	}
	if !conf.CreateKeyspace {
		return &PermanentError{Text: fmt.Sprintf("the keyspace %s does not exist and may not be created here: correct %s, or start once with schema: apply and a role that may create it", conf.Keyspace, conf.field("keyspace"))}
	}
	replicas, err := conf.replication(c.nodes)
	if err != nil {
		return err
	}
	maker, err := conf.dialContact(c.host, ddlTimeout)
	if err != nil {
		return fmt.Errorf("creating the keyspace %s: %w", conf.Keyspace, err)
	}
	defer maker.close()
	if err := maker.change(ctx, c.dialect.CreateKeyspace(conf.Keyspace, replicas)); err != nil {
		return fmt.Errorf("creating the keyspace %s with %s (%s): %w", conf.Keyspace, describeReplicas(replicas), describeRacks(c.nodes),
			explainRights(err, conf.Username, "GRANT CREATE ON ALL KEYSPACES TO "+quoteRole(conf.Username)+";"))
	}
	logger.Infof("created the keyspace %s with %s", conf.Keyspace, describeReplicas(replicas))
	return nil
}

func (c *contact) hasKeyspace() (bool, error) {
	iter := c.exec.Iter("SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?", c.conf.Keyspace)
	var name string
	found := iter.Scan(&name)
	if err := iter.Close(); err != nil {
		return false, fmt.Errorf("looking for the keyspace %s: %w", c.conf.Keyspace, err)
	}
	return found, nil
}

// checkTablets refuses an existing keyspace whose tables cannot be updated
// conditionally.
func (c *contact) checkTablets() error {
	if c.dialect.Engine != ScyllaDB || c.dialect.LWTOnTablets {
		return nil
	}
	var tablets *int // null: the keyspace has none; 0: as many as the server likes
	iter := c.exec.Iter("SELECT initial_tablets FROM system_schema.scylla_keyspaces WHERE keyspace_name = ?", c.conf.Keyspace)
	found := iter.Scan(&tablets)
	if err := iter.Close(); err != nil {
		return fmt.Errorf("asking whether the keyspace %s uses tablets: %w", c.conf.Keyspace, err)
	}
	if found && tablets != nil {
		return &PermanentError{Text: fmt.Sprintf("the keyspace %s uses tablets, and conditional updates work with tablets from ScyllaDB 2025.4 (this is %s): upgrade, or create the keyspace with tablets = {'enabled': false}", c.conf.Keyspace, c.dialect)}
	}
	return nil
}

// localDC picks the data centre of this process.
func (c Config) localDC(nodes []node) (string, error) {
	wanted, names := c.LocalDC, dataCentres(nodes)
	if wanted == "" && len(names) == 1 {
		return names[0], nil
	}
	if wanted == "" {
		return "", &PermanentError{Text: fmt.Sprintf("the cluster has %d data centres (%s): set %s to the one this process is in", len(names), strings.Join(names, ", "), c.field("local_dc"))}
	}
	if !slices.Contains(names, wanted) {
		return "", &PermanentError{Text: fmt.Sprintf("the cluster has no data centre %q, only %s: correct %s", wanted, strings.Join(names, ", "), c.field("local_dc"))}
	}
	return wanted, nil
}

// dataCentres are the names of those that have nodes, in order.
func dataCentres(nodes []node) []string {
	names := make(map[string]bool)
	for _, n := range nodes {
		names[n.dc] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// racks counts the nodes of each rack of a data centre.
func racks(nodes []node, dc string) map[string]int {
	out := make(map[string]int)
	for _, n := range nodes {
		if n.dc == dc {
			out[n.rack]++
		}
	}
	return out
}

// maxReplicas is how many replicas a data centre gets unless told otherwise.
const maxReplicas = 3

// replication checks what was asked for against the nodes there are, or
// chooses: a replica in each rack where there are two or three racks, which is
// what ScyllaDB insists on for tablets (rf_rack_valid_keyspaces); else three, or
// as many as there are nodes.
func (c Config) replication(nodes []node) (map[string]int, error) {
	wanted := c.Replication
	if len(wanted) == 0 {
		out := make(map[string]int)
		for _, dc := range dataCentres(nodes) {
			racks, total := racks(nodes, dc), 0
			for _, n := range racks {
				total += n
			}
			out[dc] = min(maxReplicas, total)
			if len(racks) == 2 || len(racks) == 3 {
				out[dc] = len(racks)
			}
		}
		return out, nil
	}
	for _, dc := range slices.Sorted(maps.Keys(wanted)) {
		total := 0
		for _, n := range racks(nodes, dc) {
			total += n
		}
		if total == 0 {
			return nil, &PermanentError{Text: fmt.Sprintf("%s names the data centre %q, which the cluster does not have", c.field("replication"), dc)}
		}
		if n := wanted[dc]; n > total {
			return nil, &PermanentError{Text: fmt.Sprintf("%s asks for %d replicas in %s, which has %d nodes: lower it or add nodes", c.field("replication"), n, dc, total)}
		}
	}
	return wanted, nil
}

func describeReplicas(replicas map[string]int) string {
	var parts []string
	for _, dc := range slices.Sorted(maps.Keys(replicas)) {
		parts = append(parts, fmt.Sprintf("%s in %s", counted(replicas[dc], "replica"), dc))
	}
	return strings.Join(parts, ", ")
}

// describeRacks says what the racks are: the number of replicas that a server
// takes may depend on them.
func describeRacks(nodes []node) string {
	var parts []string
	for _, dc := range dataCentres(nodes) {
		names := slices.Sorted(maps.Keys(racks(nodes, dc)))
		parts = append(parts, fmt.Sprintf("%s has %s: %s", dc, counted(len(names), "rack"), strings.Join(names, ", ")))
	}
	return strings.Join(parts, "; ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
