package tracker

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestKuboSize: the size is that of the whole DAG, and what is no answer is an error
// that says what Kubo has said.
func TestKuboSize(t *testing.T) {
	c := statetest.Cid("a")
	for name, tt := range map[string]struct {
		status int
		answer string
		want   int64
		text   string // of the error
	}{
		"a file":           {http.StatusOK, `{"Hash":"x","Size":10,"CumulativeSize":1234}`, 1234, ""},
		"a raw block":      {http.StatusOK, `{"Hash":"x","Size":10,"CumulativeSize":0}`, 10, ""},
		"not a file":       {http.StatusInternalServerError, `{"Message":"not a file"}`, 0, "not a file"},
		"a size and a 500": {http.StatusInternalServerError, `{"CumulativeSize":1234}`, 0, "500"},
		"HTML":             {http.StatusOK, `<html>Log in</html>`, 0, "invalid character"},
		"half":             {http.StatusOK, `{"Size":10,"Cumul`, 0, "unexpected end"},
		"nothing":          {http.StatusOK, ``, 0, "unexpected end"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				query := r.URL.Query()
				if r.Method != http.MethodPost || r.URL.Path != "/api/v0/files/stat" || query.Get("arg") != "/ipfs/"+c.String() || query.Get("offline") != "true" {
					t.Errorf("asked for %s %s", r.Method, r.URL)
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.answer))
			}))
			defer server.Close()
			n, err := KuboSize(server.URL, server.Client())(t.Context(), c)
			if n != tt.want || (err != nil) != (tt.text != "") {
				t.Fatalf("size = %d, %v", n, err)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), c.String())) {
				t.Errorf("the error %q does not say %q, or of which CID", err, tt.text)
			}
		})
	}
	if n, err := KuboSize("http://127.0.0.1:1", http.DefaultClient)(t.Context(), c); err == nil {
		t.Errorf("size = %d without a daemon", n)
	}
}
