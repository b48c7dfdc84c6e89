package service

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/closing"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
)

// lease is who compares with the gateway: one of all instances.
const lease = "reconcile"

// reconcileEvery compares with the gateway every so often, until ctx ends. It repairs nothing: what
// differs is told by metrics.
func (s *Service) reconcileEvery(ctx context.Context) error {
	every := time.Duration(s.config.Gateway.Every)
	for {
		// Nobody frees it: whoever has it compares once until it ends.
		_, held, err := s.db.TryLease(ctx, lease, s.holder, every)
		if err == nil && held {
			_, err = s.reconcile(ctx)
		}
		if err != nil && ctx.Err() == nil {
			logger.Warnf("comparing with the gateway is tried again in %s: %s", every, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(every):
		}
	}
}

func (s *Service) reconcile(ctx context.Context) (closing.Report, error) {
	r, err := Reconciling(s.config, s.files, s.store)
	if err != nil {
		return closing.Report{}, err
	}
	r.Metrics, r.Now = s.metrics.closing, s.now
	return closing.Reconcile(ctx, r)
}

// Reconciling is the comparison with the gateway of a configuration. It repairs nothing.
func Reconciling(cfg config.Config, files config.Files, store *ledger.Store) (closing.Reconciling, error) {
	if cfg.Gateway.URL == "" {
		return closing.Reconciling{}, errors.New("gateway.url is empty: name the gateway whose export is compared")
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute}
	if cfg.Gateway.CAFile != "" {
		text, err := os.ReadFile(cfg.Resolve(cfg.Gateway.CAFile))
		if err != nil {
			return closing.Reconciling{}, fmt.Errorf("gateway.ca_file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return closing.Reconciling{}, errors.New("gateway.ca_file has no certificate in PEM format")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return closing.Reconciling{
		Store: store, Policy: cfg.Claims.Policy(), First: cfg.Claims.Since,
		Source: &closing.Gateway{URL: cfg.Gateway.URL, Token: func() (string, error) { return files.GatewayToken, nil }, Client: &http.Client{Transport: transport}},
	}, nil
}
