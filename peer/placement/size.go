package placement

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// maxAnswer bounds what is read of an answer of IPFS.
const maxAnswer = 64 << 10

// KuboSize returns a function that asks the Kubo RPC API at base, such as
// http://127.0.0.1:5001, for the size of a DAG in bytes, as the links of its
// root tell it. Kubo answers from its own blocks only, reads no more than the
// root, and knows the size of files, directories and raw blocks.
func KuboSize(base string, client *http.Client) func(context.Context, api.Cid) (int64, error) {
	return func(ctx context.Context, c api.Cid) (int64, error) {
		query := url.Values{"arg": {"/ipfs/" + c.String()}, "offline": {"true"}}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/v0/files/stat?"+query.Encode(), nil)
		if err != nil {
			return 0, fmt.Errorf("asking IPFS for the size of %s: %w", c, err)
		}
		res, err := client.Do(req)
		if err != nil {
			return 0, fmt.Errorf("asking IPFS for the size of %s: %w", c, err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return 0, fmt.Errorf("asking IPFS for the size of %s: %w", c, err)
		}
		if res.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("asking IPFS for the size of %s: %s: %.200s", c, res.Status, body)
		}
		var stat struct{ Size, CumulativeSize int64 }
		if err := json.Unmarshal(body, &stat); err != nil {
			return 0, fmt.Errorf("asking IPFS for the size of %s: %w", c, err)
		}
		return max(stat.CumulativeSize, stat.Size), nil
	}
}
