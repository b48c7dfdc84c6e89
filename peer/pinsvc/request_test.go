package pinsvc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestBadRequests: each has one clear message.
func TestBadRequests(t *testing.T) {
	s := newService(t)
	for _, q := range []string{"limit=0", "limit=1001", "limit=x", "status=lost", "status=pinned,lost", "match=most", "cid=x", "before=now", "after=x", "meta=x",
		"cid=" + strings.Repeat(statetest.Cid("a").String()+",", 10) + statetest.Cid("b").String(), "name=" + strings.Repeat("x", 256),
		"status=pinned&status=lost", "meta=%zz", "meta=[]", `meta={"a":1}`} {
		s.call(http.MethodGet, "/pins?"+q, "", http.StatusBadRequest, nil)
	}
	for _, body := range []string{"", "{", "[]", "{}", `{"cid": "x"}`, `{"cid": 1}`, `{"cid": "` + statetest.Cid("a").String() + `", "name": "` + strings.Repeat("ü", maxName+1) + `"}`,
		`{"cid": "` + statetest.Cid("a").String() + `"} {}`, withOrigins(maxOrigins + 1), withMeta(maxMeta + 1),
		`{"cid": "` + statetest.Cid("a").String() + `", "origins": ["127.0.0.1:4001"]}`} {
		s.call(http.MethodPost, "/pins", body, http.StatusBadRequest, nil)
	}
	s.call(http.MethodPost, "/pins", `{"meta": {"x": "`+strings.Repeat("x", maxBody)+`"}}`, http.StatusRequestEntityTooLarge, nil)
	s.call(http.MethodGet, "/pins/x", "", http.StatusNotFound, nil)
	s.call(http.MethodDelete, "/pins/x", "", http.StatusNotFound, nil)
	if len(s.pins) != 0 {
		t.Errorf("%d pins were made", len(s.pins))
	}
}

// withOrigins is the body for a pin with so many.
func withOrigins(n int) string {
	var origins []string
	for i := range n {
		origins = append(origins, fmt.Sprintf(`"/ip4/192.0.2.%d/tcp/4001"`, i))
	}
	return fmt.Sprintf(`{"cid": %q, "origins": [%s]}`, statetest.Cid("a"), strings.Join(origins, ","))
}

// withMeta is the body for a pin with so many entries.
func withMeta(n int) string {
	meta := make(map[string]string)
	for i := range n {
		meta[fmt.Sprint(i)] = ""
	}
	text, _ := json.Marshal(map[string]any{"cid": statetest.Cid("a"), "meta": meta})
	return string(text)
}
