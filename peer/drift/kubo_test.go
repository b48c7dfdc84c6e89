package drift

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// serve is an API that answers by f.
func serve(t *testing.T, f http.HandlerFunc) API {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v0/pin/ls" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		f(w, r)
	}))
	t.Cleanup(server.Close)
	return API{Base: server.URL, Client: server.Client()}
}

func line(c api.Cid, kind string) string { return fmt.Sprintf("{\"Cid\":%q,\"Type\":%q}\n", c, kind) }

// refuse answers as Kubo does with an error.
func refuse(w http.ResponseWriter, text string) {
	w.WriteHeader(http.StatusInternalServerError)
	_ = json.NewEncoder(w).Encode(map[string]any{"Message": text, "Code": 0, "Type": "error"})
}

// TestList: a list is whole, or there is an error.
func TestList(t *testing.T) {
	a, b := statetest.Cid("a"), statetest.Cid("b")
	two := line(a, "recursive") + line(b, "recursive")
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string // of the error, "" for none
	}{
		"whole": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, two) }, ""},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, two)
			w.(http.Flusher).Flush() //nolint:forcetypeassert // httptest's can
			panic(http.ErrAbortHandler)
		}, "EOF"},
		"cut off in a line": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, two+`{"Cid":"`) }, "EOF"},
		"an error in the trailer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Stream-Error")
			fmt.Fprint(w, two)
			w.Header().Set("X-Stream-Error", "the datastore is closed")
		}, "the list is not whole: the datastore is closed"},
		"an error in a line": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, two+`{"Message":"no disk","Code":0,"Type":"error"}`)
		}, "no disk"},
		"another kind":      {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, two+line(a, "indirect")) }, `of type "indirect"`},
		"no CID":            {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, two+`{"Cid":"x","Type":"recursive"}`) }, `"x"`},
		"refused":           {func(w http.ResponseWriter, _ *http.Request) { refuse(w, "no repository") }, "no repository"},
		"a page for people": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Log in</html>") }, "invalid character"},
		"an error of a proxy": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, "no upstream")
		}, "502 Bad Gateway: no upstream"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []api.Cid
			err := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if q := r.URL.Query(); q.Get("type") != "recursive" || q.Get("stream") != "true" || q.Has("arg") {
					t.Errorf("asked for %v", q)
				}
				tt.answer(w, r)
			}).List(t.Context(), api.PinModeRecursive, func(c api.Cid) error {
				got = append(got, c)
				return nil
			})
			switch {
			case tt.want == "" && (err != nil || len(got) != 2 || got[0] != a || got[1] != b):
				t.Errorf("%v, %v", got, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("the error is %v, want %q in it", err, tt.want)
			}
		})
	}
}

// TestListThatHangs: a list that does not go on ends, before its first line and after it.
func TestListThatHangs(t *testing.T) {
	for _, lines := range []int{0, 1} {
		kubo := serve(t, func(w http.ResponseWriter, r *http.Request) {
			for range lines {
				fmt.Fprint(w, line(statetest.Cid("a"), "recursive"))
				w.(http.Flusher).Flush() //nolint:forcetypeassert // httptest's can
			}
			_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client left
			<-r.Context().Done()
		})
		kubo.quiet = 50 * time.Millisecond
		if err := kubo.List(t.Context(), api.PinModeRecursive, func(api.Cid) error { return nil }); !errors.Is(err, errQuiet) {
			t.Errorf("after %d lines: %v", lines, err)
		}
	}
}

// TestHas: only what IPFS says is not pinned is not.
func TestHas(t *testing.T) {
	c := statetest.Cid("a")
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   bool
		err    string
	}{
		"pinned":             {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, line(c, "direct")) }, true, ""},
		"not pinned":         {func(w http.ResponseWriter, _ *http.Request) { refuse(w, "path '"+c.String()+"' is not pinned") }, false, ""},
		"in another way":     {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, line(c, "recursive")) }, false, `of type "recursive"`},
		"another one":        {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, line(statetest.Cid("b"), "direct")) }, false, "an unexpected answer"},
		"nothing":            {func(http.ResponseWriter, *http.Request) {}, false, "EOF"},
		"an error":           {func(w http.ResponseWriter, _ *http.Request) { refuse(w, "the datastore is closed") }, false, "the datastore is closed"},
		"an error of others": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "it is not pinned", http.StatusBadGateway) }, false, "502"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if q := r.URL.Query(); q.Get("type") != "direct" || q.Get("arg") != c.String() {
					t.Errorf("asked for %v", q)
				}
				tt.answer(w, r)
			}).Has(t.Context(), c, api.PinModeDirect)
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%t, %v", got, err)
			}
		})
	}
}
