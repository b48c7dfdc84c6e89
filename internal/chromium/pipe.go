package chromium

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// answerTimeout is how long the browser may take for one thing.
const answerTimeout = 2 * time.Minute

// pipe is the way to the browser and back: JSON, each text followed by a zero byte. It
// reads when it waits for something, and keeps the events that come before that.
type pipe struct {
	to     *os.File
	from   *os.File
	reader *bufio.Reader
	last   int // the number of the last call
	events []event
}

// event is what the browser tells without being asked.
type event struct {
	session, method string
	params          json.RawMessage
}

// message is what comes from the browser: an answer if it has an id, else an event.
type message struct {
	ID        int             `json:"id"`
	SessionID string          `json:"sessionId"`
	Method    string          `json:"method"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	Error     *struct {
		Message string `json:"message"`
		Data    string `json:"data"`
	} `json:"error"`
}

// call has the browser, or one of its pages if session is not empty, do something, and
// reads the answer into what may be nil.
func (p *pipe) call(session, method string, params map[string]any, into any) error {
	p.last++
	request := map[string]any{"id": p.last, "method": method}
	if session != "" {
		request["sessionId"] = session
	}
	if params != nil {
		request["params"] = params
	}
	text, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if err := p.to.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if _, err := p.to.Write(append(text, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		m, err := p.read()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", method, err)
		case m.ID != p.last:
			continue
		case m.Error != nil:
			return fmt.Errorf("%s: %s %s", method, m.Error.Message, m.Error.Data)
		case into == nil:
			return nil
		}
		if err := json.Unmarshal(m.Result, into); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		return nil
	}
}

// wait reads until a page has had an event that is wanted, the first of which is not before
// the event of a number.
func (p *pipe) wait(from int, session string, wanted func(event) bool) error {
	for seen := from; ; {
		for ; seen < len(p.events); seen++ {
			if p.events[seen].session == session && wanted(p.events[seen]) {
				return nil
			}
		}
		if _, err := p.read(); err != nil {
			return err
		}
	}
}

// read returns the next message. It keeps an event.
func (p *pipe) read() (message, error) {
	if err := p.from.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return message{}, err
	}
	text, err := p.reader.ReadBytes(0)
	if err != nil {
		return message{}, err
	}
	var m message
	if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
		return message{}, err
	}
	if m.Method != "" {
		p.events = append(p.events, event{session: m.SessionID, method: m.Method, params: m.Params})
	}
	return m, nil
}
