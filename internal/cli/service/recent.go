package service

import (
	"bufio"
	"encoding/json"
	"net/http"
	"sync"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/adminhttp"
)

const (
	// recentKept is how many lines of the log are kept, recentBytes how much of each.
	recentKept  = 200
	recentBytes = 2 << 10
)

// recentLog keeps the last warnings and errors that were logged. It is safe for concurrent
// use.
type recentLog struct {
	reader *logging.PipeReader
	done   chan struct{}
	// known are the secrets of this peer, which nobody changes.
	known *secrets

	mu    sync.Mutex
	lines []json.RawMessage // a ring
	next  int
}

// keepRecent begins to keep what is logged, until close.
func keepRecent(known *secrets) *recentLog {
	r := &recentLog{
		reader: logging.NewPipeReader(logging.PipeFormat(logging.JSONOutput), logging.PipeLevel(logging.LevelWarn)),
		done:   make(chan struct{}), known: known,
	}
	go func() {
		defer close(r.done)
		// Whoever logs waits for this to read, so that it does little else.
		for in := bufio.NewReaderSize(r.reader, 4*recentBytes); ; {
			line, err := in.ReadBytes('\n')
			if len(line) > 1 {
				r.add(line)
			}
			if err != nil {
				return // closed
			}
		}
	}()
	return r
}

func (r *recentLog) close() error {
	err := r.reader.Close()
	<-r.done
	return err
}

// add keeps a line of the log. One that is too long, or is no JSON, is kept as the text of
// its beginning. Secrets are masked before a line is cut: nobody finds half of one later.
func (r *recentLog) add(line []byte) {
	if len(line) > recentBytes {
		line = r.known.clone().scrub(line)
	}
	if len(line) > recentBytes || !json.Valid(line) {
		text, err := json.Marshal(string(line[:min(len(line), recentBytes)]))
		if err != nil {
			return
		}
		line = text
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) < recentKept {
		r.lines = append(r.lines, line)
		return
	}
	r.lines[r.next] = line
	r.next = (r.next + 1) % recentKept
}

// ServeHTTP answers with the lines, the oldest first.
func (r *recentLog) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	lines := make([]json.RawMessage, 0, len(r.lines))
	lines = append(append(lines, r.lines[r.next:]...), r.lines[:r.next]...)
	r.mu.Unlock()
	adminhttp.WriteJSON(w, http.StatusOK, lines)
}
