package scyllastate

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// answer makes an error fit for a client, who must not learn where the database
// is: which node failed and how is in the log, under a number that the answer
// carries.
func answer(err error) error {
	var failed *scylla.RequestError
	if !errors.As(err, &failed) {
		return err
	}
	id := rand.Text()[:8]
	node := failed.Host
	if node == "" {
		node = "none"
	}
	logger.Infof("request %s failed: %s; last node of the database: %s; %s", id, err, node, failed.Err)
	return fmt.Errorf("%w (request %s)", err, id)
}
