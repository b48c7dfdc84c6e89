package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEnvironmentOfStock runs init of both with an environment variable for
// every setting in service.json. Both write the same bytes.
func TestEnvironmentOfStock(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ flag, value, consensus string }{
		{"--consensus", "raft", "RAFT"},
		{"--datastore", "pebble", "CRDT"},
		{"--datastore", "badger", "CRDT"},
		{"--datastore", "badger3", "CRDT"},
		{"--datastore", "leveldb", "CRDT"},
	} {
		t.Run(test.value, func(t *testing.T) {
			t.Parallel()
			flags := []string{"init", test.flag, test.value}
			identity := make(map[string]string)
			home := t.TempDir()
			mustRun(t, command(t, stock, home, "", flags...))
			if err := json.Unmarshal(readConfig(t, home, "identity.json"), &identity); err != nil {
				t.Fatal(err)
			}
			vars := map[string]string{
				"CLUSTER_SECRET":     clusterSecret,
				"CLUSTER_ID":         identity["id"],
				"CLUSTER_PRIVATEKEY": identity["private_key"],
			}
			defaults := initBoth(t, flags, vars)

			maps.Copy(vars, rareVariables[""])
			maps.Copy(vars, rareVariables[test.consensus])
			for variable, value := range defaults {
				if text := another(variable, value); text != "" {
					vars[variable] = text
				}
			}
			changed := initBoth(t, flags, vars)
			for variable, text := range vars {
				if variable == "CLUSTER_ID" || variable == "CLUSTER_PRIVATEKEY" {
					continue // of identity.json
				}
				if before, after := defaults[variable], changed[variable]; fmt.Sprint(before) == fmt.Sprint(after) {
					t.Errorf("%s=%s does nothing: the value stays %v, which tests nothing", variable, text, after)
				}
			}
			t.Logf("%d variables", len(vars))
		})
	}
}

// initBoth runs init of stock and of ours, and returns the settings that both
// have written: the variable of each, and its value.
func initBoth(t *testing.T, flags []string, vars map[string]string) map[string]any {
	t.Helper()
	homes := make(map[string]string)
	for _, name := range []string{stock, service} {
		homes[name] = t.TempDir()
		cmd := command(t, name, homes[name], "", flags...)
		cmd.Env = environ(homes[name], vars)
		mustRun(t, cmd)
	}
	for _, file := range []string{"service.json", "identity.json"} {
		if theirs, ours := readConfig(t, homes[stock], file), readConfig(t, homes[service], file); !bytes.Equal(theirs, ours) {
			t.Fatalf("with %q and %v stock writes the %s\n%s\nours\n%s", flags, vars, file, theirs, ours)
		}
	}
	var sections map[string]map[string]any
	if err := json.Unmarshal(readConfig(t, homes[stock], "service.json"), &sections); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]any)
	var walk func(prefix string, values map[string]any)
	walk = func(prefix string, values map[string]any) {
		for name, value := range values {
			variable := prefix + "_" + strings.ToUpper(strings.ReplaceAll(name, "_", ""))
			inner, group := value.(map[string]any)
			if name == "headers" || name == "basic_auth_credentials" || variable == "CLUSTER_TAGS_TAGS" {
				group = false // one setting
			}
			if group {
				walk(variable, inner)
			} else {
				found[variable] = value
			}
		}
	}
	for _, section := range sections { // their names are not in the variables
		walk("CLUSTER", section)
	}
	return found
}

func readConfig(t *testing.T, home, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(home, ".ipfs-cluster", file))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// another returns a value for a variable that is not the present one, nothing
// for what has no variable.
func another(variable string, value any) string {
	if text, ok := otherValues[variable]; ok {
		return text
	}
	switch value := value.(type) {
	case bool:
		return fmt.Sprint(!value)
	case float64:
		return fmt.Sprint(int(value) + 1)
	case string:
		switch {
		case strings.HasPrefix(value, "/ip4/"):
			return "/ip4/127.0.0.1/tcp/19999"
		case strings.HasSuffix(value, "s"): // 0s, 1h0m0s
			return "7m7s"
		default:
			return "another"
		}
	default:
		return "one,two"
	}
}

// Peer IDs of both kinds.
const (
	aPeer       = "QmPSoSaPXpyunaBwHs1rZBKYSqRV4bLRk32VGYLuvdrypL"
	anotherPeer = "12D3KooWKwzgi8u2Kw8mGHqXB2xKuvPtVD5vGZ5hL6VbbLEXyX9u"
)

// otherValues are for settings that not every value fits.
var otherValues = map[string]string{
	"CLUSTER_SECRET":                  strings.Repeat("ab", 32),
	"CLUSTER_PEERNAME":                "another",
	"CLUSTER_REPLICATIONFACTORMIN":    "2",
	"CLUSTER_REPLICATIONFACTORMAX":    "3",
	"CLUSTER_ANNOUNCEMULTIADDRESS":    "/ip4/192.0.2.1/tcp/9096,/ip4/192.0.2.2/tcp/9096",
	"CLUSTER_NOANNOUNCEMULTIADDRESS":  "/ip4/192.0.2.3/tcp/9096",
	"CLUSTER_LISTENMULTIADDRESS":      "/ip4/127.0.0.1/tcp/19096",
	"CLUSTER_PEERADDRESSES":           "/ip4/192.0.2.1/tcp/9096/p2p/" + aPeer,
	"CLUSTER_PINONLYONUNTRUSTEDPEERS": "", // not with that for trusted ones
	"CLUSTER_CRDT_TRUSTEDPEERS":       aPeer + "," + anotherPeer,
	"CLUSTER_RAFT_INITPEERSET":        aPeer + "," + anotherPeer,
	"CLUSTER_DISK_METRICTYPE":         "reposize",
	"CLUSTER_TAGS_TAGS":               "group:one,place:two",
	"CLUSTER_TRACING_SAMPLINGPROB":    "0.7",
	"CLUSTER_BADGER_GCDISCARDRATIO":   "0.7",
	"CLUSTER_BADGER3_GCDISCARDRATIO":  "0.7",

	"CLUSTER_RESTAPI_BASICAUTHCREDENTIALS":   "user:password",
	"CLUSTER_PINSVCAPI_BASICAUTHCREDENTIALS": "user:password",
	// Maps of lists have no form as a variable.
	"CLUSTER_RESTAPI_HEADERS":             "",
	"CLUSTER_PINSVCAPI_HEADERS":           "",
	"CLUSTER_PEBBLE_PEBBLEOPTIONS_LEVELS": "",

	// Stock does not read it.
	"CLUSTER_PEBBLE_PEBBLEOPTIONS_FLUSHDELAYRANGEKEY": "",
	// Stock takes false and 0 for what is not set.
	"CLUSTER_BADGER_BADGEROPTIONS_SYNCWRITES":       "",
	"CLUSTER_BADGER_BADGEROPTIONS_TRUNCATE":         "",
	"CLUSTER_BADGER3_BADGEROPTIONS_METRICSENABLED":  "",
	"CLUSTER_BADGER3_BADGEROPTIONS_NAMESPACEOFFSET": "7",

	"CLUSTER_PEBBLE_PEBBLEOPTIONS_FORMATMAJORVERSION":                      "23",
	"CLUSTER_PEBBLE_PEBBLEOPTIONS_FLUSHDELAYDELETERANGE":                   "7s",
	"CLUSTER_LEVELDB_LEVELDBOPTIONS_COMPACTIONTABLESIZEMULTIPLIERPERLEVEL": "1.5,2",
	"CLUSTER_LEVELDB_LEVELDBOPTIONS_COMPACTIONTOTALSIZEMULTIPLIERPERLEVEL": "1.5,2",
}

// rareVariables are for settings that are in service.json when they are set, by
// the consensus that has them.
var rareVariables = map[string]map[string]string{
	"": {
		"CLUSTER_FOLLOWERMODE":                  "true",
		"CLUSTER_PEERSTOREFILE":                 "peers",
		"CLUSTER_IPFSPROXY_NODEHTTPS":           "true",
		"CLUSTER_IPFSPROXY_EXTRACTHEADERSEXTRA": "X-One,X-Two",
		"CLUSTER_IPFSPROXY_EXTRACTHEADERSPATH":  "/another",
		"CLUSTER_IPFSPROXY_EXTRACTHEADERSTTL":   "7m7s",
		"CLUSTER_IPFSHTTP_UNPINDISABLE":         "true",
	},
	"CRDT": {
		"CLUSTER_CRDT_BATCHING_MAXQUEUESIZE": "77",
		"CLUSTER_CRDT_REBROADCASTINTERVAL":   "7s",
		"CLUSTER_CRDT_PEERSETMETRIC":         "another",
		"CLUSTER_CRDT_DATASTORENAMESPACE":    "/another",
	},
	"RAFT": {
		"CLUSTER_RAFT_DATAFOLDER": "another",
	},
}
