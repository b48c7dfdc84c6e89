package native_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/peerapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
)

// lineOfRoot is what a peer says of content whose root is cidV1.
const lineOfRoot = `{"name":"","cid":"` + cidV1 + `","size":2}` + "\n"

// TestAddChecksFirst: content is not sent of a request that could not be made then.
func TestAddChecksFirst(t *testing.T) {
	w := newWorld(t)
	w.answer = says(200, lineOfRoot)
	for _, test := range []struct {
		path, body string
		status     int
	}{
		{"/add?replication=99999", "content", 400},
		{"/add?name=n", strings.Repeat("x", maxAdded+1), 413},
	} {
		if status, text := w.ask(t, "user@t1", "POST", test.path, test.body); status != test.status {
			t.Errorf("%s: %d %s", test.path, status, text)
		}
	}
	if len(w.asked) > 0 || len(w.all) > 0 {
		t.Errorf("a peer was asked %v, and there are %d requests", w.asked, len(w.all))
	}
	if status, text := w.ask(t, "user@t1", "POST", "/add?nocopy=false&shard=0", strings.Repeat("x", maxAdded)); status != 200 || w.asked[0].Query.Has("nocopy") {
		t.Errorf("%d %s, and the peer was asked with %v", status, text, w.asked[0].Query)
	}
}

// TestAddOfUnknownLength: what is too long is noticed while it is sent, and what cannot be
// read is not the fault of the cluster.
func TestAddOfUnknownLength(t *testing.T) {
	w := newWorld(t)
	w.answer = says(200, lineOfRoot)
	peer := forwards(func(r peerapi.Request) error {
		if _, err := io.ReadAll(r.Body); err != nil {
			return &peerapi.BodyError{Err: err}
		}
		return nil
	})
	w.serve(t, peer)
	for name, test := range map[string]struct {
		body   io.Reader
		status int
	}{
		"too long": {strings.NewReader(strings.Repeat("x", maxAdded+1)), 413},
		"cut":      {io.MultiReader(strings.NewReader("x"), failing{}), 400},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/add", io.NopCloser(test.body))
		r.Header.Set("Authorization", "Bearer user@t1")
		r.ContentLength = -1
		out := httptest.NewRecorder()
		w.handler.ServeHTTP(out, r)
		if out.Code != test.status || len(w.all) > 0 {
			t.Errorf("%s: %d %s, and there are %d requests", name, out.Code, out.Body, len(w.all))
		}
	}
}

// TestAddWithoutRoom: nothing is read of content that has no room in the quota, and sent to no
// peer; who may not add does not learn whether there is room.
func TestAddWithoutRoom(t *testing.T) {
	w := newWorld(t)
	w.full = &pins.QuotaError{What: "bytes", Limit: 7}
	for _, length := range []int64{300, -1} {
		body := &untouched{}
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/add", body)
		r.Header.Set("Authorization", "Bearer user@t1")
		r.ContentLength = length
		out := httptest.NewRecorder()
		w.handler.ServeHTTP(out, r)
		if out.Code != 409 || !strings.Contains(out.Body.String(), "INSUFFICIENT_FUNDS: the limit of 7 bytes is reached") {
			t.Errorf("%d bytes: %d %s", length, out.Code, out.Body)
		}
		if body.read || len(w.asked) > 0 {
			t.Errorf("%d bytes: the body was read: %v, and a peer was asked %v", length, body.read, w.asked)
		}
		if got := w.records.take(); !slices.Equal(got, []string{"intent pins:create", "outcome failure 409"}) {
			t.Errorf("%d bytes: the records are %q", length, got)
		}
	}
	if !slices.Equal(w.room, []int64{300, 0}) {
		t.Errorf("it was asked whether there is room for %d", w.room)
	}
	if status, text := w.ask(t, "viewer@t1", "POST", "/add", "content"); status != 403 || len(w.room) != 2 {
		t.Errorf("who may not add: %d %s", status, text)
	}
}

// untouched is a body that tells whether it was read.
type untouched struct{ read bool }

func (u *untouched) Read([]byte) (int, error) {
	u.read = true
	return 0, io.EOF
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("invalid byte in chunk length") }

// forwards is a peer that does something with a request, and then says that there is nothing.
type forwards func(peerapi.Request) error

func (f forwards) Forward(_ context.Context, w http.ResponseWriter, r peerapi.Request) (int, error) {
	if err := f(r); err != nil {
		return 0, err
	}
	w.WriteHeader(http.StatusOK)
	_, err := io.WriteString(w, lineOfRoot)
	return http.StatusOK, err
}

// TestAddsAtATime: a tenant has a few uploads at a time, and others have theirs.
func TestAddsAtATime(t *testing.T) {
	w := newWorld(t)
	begun, end := make(chan struct{}), make(chan struct{})
	w.serve(t, forwards(func(r peerapi.Request) error {
		if text, _ := io.ReadAll(r.Body); string(text) == "waits" {
			begun <- struct{}{}
			<-end
			return errors.New("no space")
		}
		return nil
	}))
	ended := make(chan struct{})
	for range 4 {
		go func() {
			w.ask(t, "user@t1", "POST", "/add", "waits")
			ended <- struct{}{}
		}()
		<-begun
	}
	if status, text := w.ask(t, "user@t1", "POST", "/add", "x"); status != 429 || !strings.Contains(text, "RATE_LIMITED") {
		t.Errorf("the fifth: %d %s", status, text)
	}
	if status, text := w.ask(t, "user@t2", "POST", "/add", "x"); status != 200 {
		t.Errorf("of another tenant: %d %s", status, text)
	}
	close(end)
	for range 4 {
		<-ended
	}
	if status, text := w.ask(t, "user@t1", "POST", "/add", "x"); status != 200 {
		t.Errorf("when they have ended: %d %s", status, text)
	}
}

// TestAddOnRecord: there are two records, of the content and of the pin with its CID. What
// the second one is about is decided, too.
func TestAddOnRecord(t *testing.T) {
	w := newWorld(t)
	w.answer = says(200, lineOfRoot)
	if status, text := w.ask(t, "user@t1", "POST", "/add", "content"); status != 200 {
		t.Fatal(status, text)
	}
	want := []string{"intent pins:create", "outcome success 200 " + cidV1, "intent pins:create " + cidV1, "outcome success 200 r1"}
	if got := w.records.take(); !slices.Equal(got, want) {
		t.Errorf("the records are %q", got)
	}
	w.answer = fails(errors.New("connection reset"))
	w.ask(t, "user@t1", "POST", "/add", "content")
	if got := w.records.take(); !slices.Equal(got, []string{"intent pins:create", "outcome unknown 502"}) {
		t.Errorf("of content of which nobody knows whether it was added the records are %q", got)
	}
}

// TestProxiedOnRecord: what a peer answered is on record, also if the client leaves; one
// that broke off leaves it open.
func TestProxiedOnRecord(t *testing.T) {
	for want, err := range map[string]error{
		"outcome success 200": errors.New("answering the client: broken pipe"),
		"outcome unknown 502": &peerapi.Broken{Peer: "p", Err: io.ErrUnexpectedEOF},
	} {
		w := newWorld(t)
		w.serve(t, answersThen{err})
		w.ask(t, "operator@system", "DELETE", "/peers/p", "")
		if got := w.records.take(); len(got) != 2 || got[1] != want {
			t.Errorf("%v: the records are %q", err, got)
		}
	}
}

// answersThen is a peer whose answer ends with an error.
type answersThen struct{ err error }

func (a answersThen) Forward(_ context.Context, w http.ResponseWriter, _ peerapi.Request) (int, error) {
	w.WriteHeader(http.StatusOK)
	_, _ = fmt.Fprint(w, "x")
	return http.StatusOK, a.err
}
