package service

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/ipfs-cluster/ipfs-cluster/config"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/section"
	adminsection "github.com/ipfs-cluster/ipfs-cluster-scylla/internal/adminhttp/section"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// The components that can hold the pinset, by their keys in service.json.
const (
	backendScylla = "scylla"
	backendCRDT   = "crdt"
	backendRaft   = "raft"
)

// peerConfig is the configuration of a peer, read from its folder.
type peerConfig struct {
	*cmdutils.ConfigHelper
	scylla  *scyllastate.Config
	events  *section.Config // nil while events are off
	admin   *adminsection.Config
	backend string
}

// loadConfig reads service.json, identity.json and the environment. The caller
// ends with Manager().Shutdown(), or release.
func (cmd *command) loadConfig() (*peerConfig, error) {
	helper := cmdutils.NewConfigHelper(cmd.configPath, cmd.identityPath, "", "")
	cfg := &peerConfig{ConfigHelper: helper, scylla: &scyllastate.Config{}}
	helper.Manager().RegisterComponent(config.State, &scyllastate.Section{Config: cfg.scylla})
	events := &section.Section{}
	helper.Manager().RegisterComponent(config.State, events)
	admin := &adminsection.Section{}
	helper.Manager().RegisterComponent(config.Observations, admin)
	err := cfg.load(cmd.configPath, events)
	if err == nil {
		cfg.admin, err = admin.Complete()
	}
	if err != nil {
		helper.Manager().Shutdown()
		return nil, fmt.Errorf("loading configurations: %w", err)
	}
	return cfg, nil
}

// release ends what would save changes of the configuration, for commands that
// make none. That takes a second, for which nobody has to wait.
func (cfg *peerConfig) release() { go cfg.Manager().Shutdown() }

func (cfg *peerConfig) load(path string, events *section.Section) error {
	if err := cfg.LoadConfigFromDisk(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no %s: run \"%s init\" first, or name another folder with --config", path, programName)
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := cfg.LoadIdentityFromDisk(); err != nil {
		return err
	}
	backend, err := chooseBackend(cfg.ConfigHelper)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	cfg.backend = backend
	cfg.scylla.Secret = cfg.Configs().Cluster.Secret
	if backend != backendScylla {
		if cfg.Manager().IsLoadedFromJSON(config.State, events.ConfigKey()) {
			return fmt.Errorf("%s: state.events is there, but events are told from the database, and the pinset is in consensus.%s: remove it", path, backend)
		}
		return nil
	}
	// The configuration manager validates before it applies the environment.
	if err := cfg.scylla.ValidateAll(); err != nil {
		return err
	}
	cfg.events, err = events.Complete()
	return err
}

// chooseBackend tells where the pinset is, by the sections of the loaded file.
func chooseBackend(helper *cmdutils.ConfigHelper) (string, error) {
	var found, names []string
	for _, c := range []struct {
		section config.SectionType
		key     string
		name    string
	}{
		{config.State, backendScylla, "state.scylla"},
		{config.Consensus, backendCRDT, "consensus.crdt"},
		{config.Consensus, backendRaft, "consensus.raft"},
	} {
		if helper.Manager().IsLoadedFromJSON(c.section, c.key) {
			found, names = append(found, c.key), append(names, c.name)
		}
	}
	switch {
	case len(found) == 0:
		return "", errors.New("nothing says where the pinset is: add \"state\": {\"scylla\": {}}, or a consensus section")
	case len(found) == 1:
		return found[0], nil
	case found[0] == backendScylla:
		return "", fmt.Errorf("%s are both there, but a pinset is in one place: remove %s. Its pins move into the database with \"%s migrate\", "+
			"from a folder that has %s and not %s: see %s migrate --help",
			strings.Join(names, " and "), names[1], programName, names[1], names[0], programName)
	default:
		return "", fmt.Errorf("%s are both there: remove the one that is not used", strings.Join(names, " and "))
	}
}

// parsePeers reads a comma-separated list of multiaddresses that end in
// /p2p/<peer ID>. An empty list gives none.
func parsePeers(list string) ([]ma.Multiaddr, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	var addrs []ma.Multiaddr
	for _, text := range strings.Split(list, ",") {
		text = strings.TrimSpace(text)
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a multiaddress: %w", text, err)
		}
		if len(ipfscluster.PeersFromMultiaddrs([]ma.Multiaddr{addr})) == 0 {
			return nil, fmt.Errorf("%q does not end in /p2p/ and a peer ID", text)
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}
