package scyllaface

import (
	"fmt"
	"slices"
	"strings"

	"github.com/datastax/go-cassandra-native-protocol/message"
)

// option is one of a table or keyspace: name = value.
type option struct {
	name   string
	raw    string            // name and value as they were written
	values map[string]string // if the value is a map
}

// tableOption translates an option of a table from ScyllaDB to Cassandra. "" is
// an option that Cassandra does not have and can do without. What is not
// listed is refused, also where ScyllaDB knows it: add it here.
func tableOption(o option) (string, refusal) {
	switch o.name {
	case "comment", "gc_grace_seconds", "default_time_to_live", "bloom_filter_fp_chance", "speculative_retry":
		return o.raw, nil
	case "caching":
		return o.raw, o.allow("keys", "rows_per_partition")
	case "compaction":
		return compaction(o)
	case "compression":
		return compression(o)
	case "tombstone_gc":
		if !slices.Contains([]string{"immediate", "timeout", "repair", "disabled"}, o.values["mode"]) {
			return "", &message.ConfigError{ErrorMessage: "tombstone_gc needs a mode: immediate, timeout, repair or disabled"}
		}
		return "", o.allow("mode", "propagation_delay_in_seconds")
	case "id":
		return "", &message.Invalid{ErrorMessage: "a table gets its identifier from the server here: leave out id"}
	}
	return "", &message.SyntaxError{ErrorMessage: "Unknown property '" + o.name + "'"}
}

func compaction(o option) (string, refusal) {
	switch class := o.values["class"]; class {
	case "IncrementalCompactionStrategy":
		return "compaction = {'class': 'UnifiedCompactionStrategy'}", o.allow("class")
	case "TimeWindowCompactionStrategy":
		return o.raw, o.allow("class", "compaction_window_unit", "compaction_window_size")
	case "LeveledCompactionStrategy", "SizeTieredCompactionStrategy":
		return o.raw, o.allow("class")
	default:
		return "", &message.ConfigError{ErrorMessage: fmt.Sprintf("Unable to find compaction strategy class '%s'", class)}
	}
}

func compression(o option) (string, refusal) {
	class, named := o.values["sstable_compression"]
	switch {
	case o.values == nil || len(o.values) > 0 && !named:
		return "", &message.ConfigError{ErrorMessage: "Missing sub-option 'sstable_compression' for the 'compression' option."}
	case class == "":
		return "compression = {'enabled': 'false'}", o.allow("sstable_compression")
	}
	class = strings.Replace(class, "WithDicts", "", 1) // dictionaries are ScyllaDB's
	if !slices.Contains([]string{"LZ4Compressor", "SnappyCompressor", "DeflateCompressor", "ZstdCompressor"}, class) {
		return "", &message.ConfigError{ErrorMessage: fmt.Sprintf("unable to find class '%s'", class)}
	}
	chunk := ""
	if kb, ok := o.values["chunk_length_in_kb"]; ok && isDigits(kb) {
		chunk = ", 'chunk_length_in_kb': " + kb
	}
	return "compression = {'class': '" + class + "'" + chunk + "}", o.allow("sstable_compression", "chunk_length_in_kb")
}

// allow refuses a map with other keys.
func (o option) allow(keys ...string) refusal {
	for key := range o.values {
		if !slices.Contains(keys, key) {
			return o.unknown(key)
		}
	}
	return nil
}

func (o option) unknown(key string) refusal {
	return &message.ConfigError{ErrorMessage: fmt.Sprintf("option %s of %s is unknown, or has a value that is", key, o.name)}
}
