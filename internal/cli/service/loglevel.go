package service

import (
	"fmt"
	"log/slog"
	"strings"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/gologshim"
)

const defaultLogLevel = "info"

// ownFacilities returns the names of this project's loggers, which are not
// among upstream's.
func ownFacilities() []string {
	return []string{"service", "scylla", "scyllastate", "sharedstate", "membership", "tracker", "status", "pinsvc", "reconcile", "drift", "sli", "role", "events"}
}

// setupLogging sends the logs of all libraries to go-log and sets the levels.
// spec is a comma-separated list of "level" (for all components) and
// "component:level".
func setupLogging(debug bool, spec string) error {
	slog.SetDefault(slog.New(logging.SlogHandler()))
	gologshim.SetDefaultHandler(logging.SlogHandler())

	if debug {
		return setLevel("*", "debug")
	}
	overall, byComponent, err := parseLogLevels(spec)
	if err != nil {
		return err
	}
	for name := range ipfscluster.LoggingFacilities {
		if err := setLevel(name, overall); err != nil {
			return err
		}
	}
	for _, name := range ownFacilities() {
		if err := setLevel(name, overall); err != nil {
			return err
		}
	}
	// These belong to libraries that say too much at the overall level.
	for name, level := range ipfscluster.LoggingFacilitiesExtra {
		if err := setLevel(name, level); err != nil {
			return err
		}
	}
	for name, level := range byComponent {
		if err := setLevel(name, level); err != nil {
			return err
		}
	}
	return nil
}

// parseLogLevels splits spec. When a component is named twice the last counts.
func parseLogLevels(spec string) (overall string, byComponent map[string]string, err error) {
	overall, byComponent = defaultLogLevel, make(map[string]string)
	for _, item := range strings.Split(spec, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		parts := strings.Split(item, ":")
		switch {
		case len(parts) == 1:
			overall = parts[0]
		case len(parts) == 2 && parts[0] == "all":
			overall = parts[1]
		case len(parts) == 2:
			byComponent[parts[0]] = parts[1]
		default:
			return "", nil, fmt.Errorf("setting the log level: %q is neither \"level\" nor \"component:level\"", item)
		}
	}
	return overall, byComponent, nil
}

func setLevel(name, level string) error {
	// Names in upstream's help that its logger does not know.
	known := level
	switch strings.ToLower(level) {
	case "critical":
		known = "fatal"
	case "warning":
		known = "warn"
	case "notice":
		known = "info"
	}
	if err := logging.SetLogLevel(name, known); err != nil {
		return fmt.Errorf("setting the log level of %s: %q is unknown, use debug, info, warn or error", name, level)
	}
	return nil
}
