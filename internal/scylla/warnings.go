package scylla

import (
	"sync"

	"github.com/gocql/gocql"
)

// maxWarnings bounds the texts that are remembered.
const maxWarnings = 100

// warnings logs what servers warn of, each text once: a statement that they do
// not like is sent thousands of times.
type warnings struct {
	mu   sync.Mutex
	seen map[string]bool
}

// handler is what the driver makes the handler of a session with.
func (w *warnings) handler(*gocql.Session) gocql.WarningHandler { return w }

// HandleWarnings is called by the driver with the warnings of one answer.
func (w *warnings) HandleWarnings(_ gocql.ExecutableQuery, host *gocql.HostInfo, texts []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range texts {
		if w.seen[text] || len(w.seen) >= maxWarnings {
			continue
		}
		if w.seen == nil {
			w.seen = make(map[string]bool)
		}
		w.seen[text] = true
		who := "the database"
		if host != nil { // the driver does not always say
			who = "node " + host.ConnectAddressAndPort() + " of the database"
		}
		logger.Warnf("%s warns: %s", who, text)
	}
}
