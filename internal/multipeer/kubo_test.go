package multipeer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// onlyAskedFor takes pins of another type out of an answer to pin/ls, as Kubo does.
// The mock lists all, whatever it is asked for.
func onlyAskedFor(r *http.Response) error {
	q := r.Request.URL.Query()
	if !strings.HasSuffix(r.Request.URL.Path, "/pin/ls") || r.StatusCode != http.StatusOK || q.Get("type") == "" {
		return nil
	}
	defer r.Body.Close()
	var left bytes.Buffer
	for dec, enc := json.NewDecoder(r.Body), json.NewEncoder(&left); ; {
		var info api.IPFSPinInfo
		if err := dec.Decode(&info); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("reading the pins of the mock: %w", err)
		}
		if info.Type.String() == q.Get("type") {
			if err := enc.Encode(info); err != nil {
				return err
			}
		}
	}
	if c := q.Get("arg"); c != "" && left.Len() == 0 {
		r.StatusCode, r.Status = http.StatusInternalServerError, ""
		fmt.Fprintf(&left, `{"Message": "path '%s' is not pinned", "Code": 0, "Type": "error"}`, c)
	}
	r.Header.Del("Content-Length")
	r.ContentLength, r.Body = int64(left.Len()), io.NopCloser(&left)
	return nil
}
