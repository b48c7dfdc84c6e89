package cmdline

import (
	"fmt"
	"strings"

	logging "github.com/ipfs/go-log/v2"
)

// SetupLogging sets levels: "level" for all components, "component:level" for one.
func SetupLogging(spec string) error {
	for _, item := range strings.Split(spec, ",") {
		name, level, one := strings.Cut(strings.TrimSpace(item), ":")
		if !one {
			name, level = "*", name
		}
		if level == "" && !one {
			continue
		}
		if err := logging.SetLogLevel(name, level); err != nil {
			return fmt.Errorf("setting the log level: %q is neither \"level\" nor \"component:level\", with debug, info, warn or error as the level", item)
		}
	}
	return nil
}
