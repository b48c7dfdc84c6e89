package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// pinLoad are pins that are asked of the peers of a cluster in turn.
type pinLoad struct {
	cluster *cluster
	cids    []string
	urls    []string
	copies  int
	client  *http.Client
	began   time.Time // of the first request
}

func newPinLoad(c *cluster, series string, n, replicas int) (*pinLoad, error) {
	r := &pinLoad{cluster: c, copies: n * replicas}
	for i := range n {
		s, err := newSample(series, i)
		if err != nil {
			return nil, err
		}
		r.cids = append(r.cids, s.pin.Cid.String())
		r.urls = append(r.urls, fmt.Sprintf("%s/pins/%s?replication-min=%d&replication-max=%d",
			c.daemons[i%len(c.daemons)].service.url, s.pin.Cid, replicas, replicas))
	}
	return r, nil
}

// send sends the requests, and returns how many were acknowledged in a second.
func (r *pinLoad) send(ctx context.Context, clients int) (float64, error) {
	r.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer r.client.CloseIdleConnections()
	r.began = time.Now()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(clients)
	for _, url := range r.urls {
		g.Go(func() error { return r.one(gctx, url) })
	}
	if err := g.Wait(); err != nil {
		return 0, fmt.Errorf("pinning: %w", err)
	}
	return float64(len(r.urls)) / time.Since(r.began).Seconds(), nil
}

// made is what came of a pinLoad.
type made struct {
	took    time.Duration // until all copies were made, from the first request on
	missing float64       // share of the copies that were not made in time
}

// missing is the share of the copies that are not made.
func (r *pinLoad) missing() float64 {
	return float64(max(0, r.copies-r.cluster.held(r.cids))) / float64(r.copies)
}

// wait waits for the copies for a while.
func (r *pinLoad) wait(ctx context.Context, atMost time.Duration) (made, error) {
	deadline := time.After(atMost)
	for {
		out := made{missing: r.missing(), took: time.Since(r.began)}
		if out.missing == 0 {
			return out, nil
		}
		select {
		case <-deadline:
			return out, nil
		case <-time.After(sampleEvery):
		case <-ctx.Done():
			return out, context.Cause(ctx)
		}
	}
}

func (r *pinLoad) one(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return fmt.Errorf("POST %s: %w", url, err)
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("POST %s: %s: %.200s", url, res.Status, text)
	}
	return nil
}
