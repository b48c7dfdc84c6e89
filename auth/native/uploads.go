package native

import (
	"net/http"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

// maxUploads is how many requests of a tenant may add content at a time.
const maxUploads = 4

// uploads counts the requests that add content, by tenant. Safe for concurrent use.
type uploads struct {
	mu     sync.Mutex
	begun  map[string]int
	atMost int
}

// begin counts a request until done is called. It returns the Problem of too many.
func (u *uploads) begin(tenant string) (done func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.begun[tenant] >= u.atMost {
		return nil, &door.Problem{
			Status: http.StatusTooManyRequests, Reason: door.RateLimited, RetryAfter: retryAfter, Details: "the tenant adds too much at a time: wait until something is added",
		}
	}
	u.begun[tenant]++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.begun[tenant]--; u.begun[tenant] == 0 {
			delete(u.begun, tenant)
		}
	}, nil
}
