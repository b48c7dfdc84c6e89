package scylla

import (
	"fmt"
	"strings"

	logging "github.com/ipfs/go-log/v2"
)

var logger = logging.Logger("scylla")

// driverLog sends what the driver prints to the debug level: it repeats, less
// clearly, what the errors of the requests say.
type driverLog struct{}

func (driverLog) Print(v ...any) { logger.Debug(strings.TrimSpace(fmt.Sprint(v...))) }
func (driverLog) Printf(format string, v ...any) {
	logger.Debug(strings.TrimSpace(fmt.Sprintf(format, v...)))
}
func (driverLog) Println(v ...any) { logger.Debug(strings.TrimSpace(fmt.Sprintln(v...))) }
