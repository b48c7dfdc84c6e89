package embedded

import (
	"fmt"
	"strings"
	"sync"

	logging "github.com/ipfs/go-log/v2"
)

var logger = logging.Logger("events")

// serverLog passes what a server logs on to our logger. Where a server would end the
// process, it keeps the reason while the server starts, which tells it nobody else, and logs
// it as an error later.
type serverLog struct {
	mu      sync.Mutex
	fatal   error // the first one
	started bool
}

// Noticef implements server.Logger. Who wants to know how a server starts and stops
// looks at debug messages.
func (*serverLog) Noticef(format string, v ...any) { logger.Debugf(prefixed(format), v...) }

// Warnf implements server.Logger.
func (*serverLog) Warnf(format string, v ...any) { logger.Warnf(prefixed(format), v...) }

// Errorf implements server.Logger.
func (*serverLog) Errorf(format string, v ...any) { logger.Errorf(prefixed(format), v...) }

// Debugf implements server.Logger.
func (*serverLog) Debugf(format string, v ...any) { logger.Debugf(prefixed(format), v...) }

// Tracef implements server.Logger.
func (*serverLog) Tracef(format string, v ...any) { logger.Debugf(prefixed(format), v...) }

// prefixed says who speaks. The server indents some of what it says.
func prefixed(format string) string { return "NATS: " + strings.TrimLeft(format, " ") }

// Fatalf implements server.Logger.
func (l *serverLog) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	for _, arg := range v {
		// The server's own words hide the error from errors.Is.
		if cause, ok := arg.(error); ok {
			err = cause
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.started:
		logger.Errorf("the NATS server of this process cannot go on: "+format, v...)
	case l.fatal == nil:
		l.fatal = err
	}
}

// start ends the start of the server, and returns why that has failed, nil if it has not.
func (l *serverLog) start() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.started = l.fatal == nil
	return l.fatal
}
