package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// cluster are peers that run, each with a stand-in for IPFS.
type cluster struct {
	daemons []*daemon
	ipfs    []*standIn
}

// meetTimeout bounds how long peers may take to know of each other.
const meetTimeout = 2 * time.Minute

// startCluster runs n peers, the first one before the others, which are told of it,
// and waits until each has the metrics of all. Services begins at port index first.
func startCluster(ctx context.Context, binary, dir string, n, first int, env map[string]string, args ...string) (c *cluster, err error) {
	c = &cluster{}
	defer func() {
		if err != nil {
			c.kill()
		}
	}()
	ids, err := newPeers(n)
	if err != nil {
		return nil, err
	}
	services := make([]*service, n)
	for i := range services {
		ipfs := newStandIn(ids[i])
		c.ipfs = append(c.ipfs, ipfs)
		addr, err := ipfs.multiaddr()
		if err != nil {
			return c, err
		}
		env["CLUSTER_PEERNAME"] = fmt.Sprintf("peer%d", i)
		services[i], err = initService(ctx, binary, filepath.Join(dir, fmt.Sprint(i)), first+i, addr.String(), env, args...)
		if err != nil {
			return c, err
		}
	}
	bootstrap := ""
	for i, s := range services {
		args := []string{}
		if i > 0 {
			args = append(args, "--bootstrap", bootstrap)
		}
		d, err := s.start(ctx, args...)
		if err != nil {
			return c, err
		}
		c.daemons = append(c.daemons, d)
		if i > 0 {
			continue
		}
		if _, err := d.ready(ctx); err != nil {
			return c, err
		}
		if bootstrap, err = s.address(); err != nil {
			return c, err
		}
	}
	return c, c.meet(ctx)
}

// address is where other peers reach the service.
func (s *service) address() (string, error) {
	text, err := os.ReadFile(filepath.Join(s.folder(), "identity.json"))
	if err != nil {
		return "", fmt.Errorf("finding the peer's identity: %w", err)
	}
	var identity struct{ ID string }
	if err := json.Unmarshal(text, &identity); err != nil {
		return "", fmt.Errorf("reading the peer's identity: %w", err)
	}
	return s.listen + "/p2p/" + identity.ID, nil
}

// meet waits until every peer knows the free space of all.
func (c *cluster) meet(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, meetTimeout, errors.New("the peers do not find each other"))
	defer cancel()
	for _, d := range c.daemons {
		for {
			n, err := d.metrics(ctx, "freespace")
			if err == nil && n == len(c.daemons) {
				break
			}
			if err := d.wait(ctx, time.After(sampleEvery)); err != nil {
				return fmt.Errorf("waiting for the peers to meet: one has the metrics of %d only: %w", n, err)
			}
		}
	}
	return nil
}

// metrics is how many peers' metrics of a name the daemon has.
func (d *daemon) metrics(ctx context.Context, name string) (int, error) {
	body, err := get(ctx, d.service.url+"/monitor/metrics/"+name)
	if err != nil {
		return 0, err
	}
	n := 0
	for dec := json.NewDecoder(bytes.NewReader(body)); ; {
		var some any
		switch err := dec.Decode(&some); {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return 0, fmt.Errorf("reading the metrics of a peer: %w", err)
		}
		if list, ok := some.([]any); ok {
			n += len(list)
		} else {
			n++
		}
	}
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("GET %s: %s: %.200s", url, res.Status, body)
	}
	return body, err
}

// held is how many copies of pins the IPFS of all peers have.
func (c *cluster) held(cids []string) int {
	n := 0
	for _, ipfs := range c.ipfs {
		n += ipfs.held(cids)
	}
	return n
}

// cpu is the processor time that the peers have used, in seconds.
func (c *cluster) cpu() (sum float64, err error) {
	for _, d := range c.daemons {
		used, err := d.cpu()
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// stop ends the peers as a user does, all at once.
func (c *cluster) stop() error {
	var g errgroup.Group
	for _, d := range c.daemons {
		g.Go(d.stop)
	}
	err := g.Wait()
	c.kill()
	return err
}

// kill ends what still runs.
func (c *cluster) kill() {
	for _, d := range c.daemons {
		d.Kill()
	}
	for _, ipfs := range c.ipfs {
		ipfs.close()
	}
	c.daemons, c.ipfs = nil, nil
}
