package door

import (
	"io"
	"net/http"
	"time"
)

const (
	// bodyTime is how long a client may take to send the body of a request.
	bodyTime = time.Minute
	// pause is how long it may send nothing of one that has no such limit, and how long it may
	// take nothing of an answer.
	pause = 30 * time.Second
)

// pace bounds how long a client may hold a connection by being slow. Where a deadline cannot
// be set, as in tests without a connection, it bounds nothing.
type pace struct {
	control *http.ResponseController
	body    *pacedBody // nil without a body
}

// newPace begins to bound what a client sends of a request.
func newPace(w http.ResponseWriter, r *http.Request) *pace {
	p := &pace{control: http.NewResponseController(w)}
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		p.body = &pacedBody{ReadCloser: r.Body, control: p.control}
		_ = p.control.SetReadDeadline(time.Now().Add(bodyTime))
		r.Body = p.body
	}
	return p
}

// write bounds the next piece of an answer.
func (p *pace) write() { _ = p.control.SetWriteDeadline(time.Now().Add(pause)) }

// end leaves the connection without a deadline for what is written to it next.
func (p *pace) end() { _ = p.control.SetWriteDeadline(time.Time{}) }

// Patient lets the client take as long as it likes for the body of the request, as long as it
// goes on sending. It is for uploads.
func (c *Call) Patient() {
	if c.pace != nil && c.pace.body != nil {
		c.pace.body.patient = true
	}
}

// pacedBody is the body of a request.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	patient bool
}

// Read implements io.Reader.
func (b *pacedBody) Read(into []byte) (int, error) {
	if b.patient {
		_ = b.control.SetReadDeadline(time.Now().Add(pause))
	}
	n, err := b.ReadCloser.Read(into)
	if err != nil {
		// The server goes on reading, to learn that the client has left: without a deadline, or
		// it would take its end for that.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
