package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// daemonAPI is the REST API of the daemon that runs on the same folder.
type daemonAPI struct {
	client         *http.Client
	user, password string
}

// apiTimeout bounds one request: a recovery waits for IPFS and for the database.
const apiTimeout = time.Minute

// maxAPIAnswer bounds what is read of an answer.
const maxAPIAnswer = 1 << 20

// findDaemon returns the API of the daemon, if one runs on the folder.
func (cmd *command) findDaemon(cfg *peerConfig) (*daemonAPI, error) {
	if lock, err := cmd.lock(); err == nil {
		err = lock.Close()
		return nil, errors.Join(fmt.Errorf("--repair needs the daemon of this peer, which pins and notes what it does, and none runs on %s: start it, or run without --repair", cmd.folder), err)
	}
	rest := cfg.Configs().Restapi
	switch {
	case len(rest.HTTPListenAddr) == 0:
		return nil, errors.New("--repair needs the REST API of the daemon, and restapi.http_listen_multiaddress is empty: use \"ipfs-cluster-ctl recover\" with an API that there is")
	case rest.TLS != nil:
		return nil, errors.New("--repair cannot ask a REST API with TLS: use \"ipfs-cluster-ctl recover --local\"")
	}
	client, err := dialing(rest.HTTPListenAddr[0])
	if err != nil {
		return nil, fmt.Errorf("reading restapi.http_listen_multiaddress: %w", err)
	}
	client.Timeout = apiTimeout
	d := &daemonAPI{client: client}
	for d.user, d.password = range rest.BasicAuthCredentials {
		break // each of them may do everything
	}
	return d, nil
}

// dialing is a client whose requests all go to one address.
func dialing(addr ma.Multiaddr) (*http.Client, error) {
	network, address, err := manet.DialArgs(addr)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
	}}, nil
}

// check reports an error unless the daemon is that of the peer.
func (d *daemonAPI) check(ctx context.Context, self peer.ID) error {
	var id struct{ ID string }
	if err := d.call(ctx, http.MethodGet, "/id", &id); err != nil {
		return fmt.Errorf("asking the daemon who it is: %w", err)
	}
	if id.ID != self.String() {
		return fmt.Errorf("the daemon at the REST API of this peer is another one, %s", shownText(id.ID))
	}
	return nil
}

// recover lets the daemon pin again what it lacks.
func (d *daemonAPI) recover(ctx context.Context, c api.Cid) error {
	if err := d.call(ctx, http.MethodPost, "/pins/"+c.String()+"/recover?local=true", nil); err != nil {
		return fmt.Errorf("asking the daemon to recover %s: %w", c, err)
	}
	return nil
}

// call makes a request, and decodes the answer unless it is for nobody.
func (d *daemonAPI) call(ctx context.Context, method, path string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://daemon"+path, nil)
	if err != nil {
		return err
	}
	if d.user != "" {
		req.SetBasicAuth(d.user, d.password)
	}
	res, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAPIAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusAccepted {
		var said struct{ Message string }
		if json.Unmarshal(body, &said) == nil && said.Message != "" {
			return errors.New(shownText(said.Message))
		}
		return errors.New(res.Status)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(body, answer)
}
