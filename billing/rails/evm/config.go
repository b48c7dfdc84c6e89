package evm

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// Config says where a chain is.
type Config struct {
	// Name is how people call it, as "base". It must not change while something is asked there.
	Name string `json:"name"`
	// ChainID is its number, as 8453. A node of another chain is refused.
	ChainID uint64 `json:"chain_id"`
	// RPCURL is where a node answers JSON-RPC. {key} in it stands for what is in RPCKeyFile.
	RPCURL     string `json:"rpc_url"`
	RPCKeyFile string `json:"rpc_key_file,omitempty"`
	// SecondRPCURL is another node, of somebody else, which must say the same before
	// anything is final. Empty for none.
	SecondRPCURL     string `json:"second_rpc_url,omitempty"`
	SecondRPCKeyFile string `json:"second_rpc_key_file,omitempty"`
	// Confirmations is how many blocks must follow one until it is final. 0 takes what the
	// node calls finalized.
	Confirmations uint64 `json:"confirmations,omitempty"`
	// StartBlock is the first one that is read. 0 begins where the chain is when it is
	// read for the first time.
	StartBlock uint64 `json:"start_block,omitempty"`
	// ReadAgain is how often the chain was to be read again from its start. To raise it is
	// the way on after ErrForked: what was told is told again, and counts once.
	ReadAgain uint64 `json:"read_again,omitempty"`
}

var chainName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Check returns an error if a chain cannot be read with this.
func (c Config) Check() error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !chainName.MatchString(c.Name) {
		add("name: %.40q is not 1 to 32 small letters, digits and hyphens", c.Name)
	}
	if c.ChainID == 0 {
		add("chain_id: is missing")
	}
	if err := checkURL(c.RPCURL, c.RPCKeyFile); err != nil {
		add("rpc_url: %w", err)
	}
	if c.SecondRPCURL != "" || c.SecondRPCKeyFile != "" {
		if err := checkURL(c.SecondRPCURL, c.SecondRPCKeyFile); err != nil {
			add("second_rpc_url: %w", err)
		}
	}
	return errors.Join(problems...)
}

// checkURL says nothing of the URL itself, as people write keys into it.
func checkURL(text, keyFile string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("is not a URL that begins with https:// or http://")
	case u.User != nil:
		return errors.New("has a user or a password in it: write {key} there and the rest into the file")
	case strings.Contains(text, "{key}") != (keyFile != ""):
		return errors.New("has {key} and no file for it, or a file and no {key}")
	}
	return nil
}

// Clients returns one for each node of the configuration, which it does not ask yet. It
// reads the files with keys.
func (c Config) Clients() ([]*Client, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	var clients []*Client
	for _, node := range [][2]string{{c.RPCURL, c.RPCKeyFile}, {c.SecondRPCURL, c.SecondRPCKeyFile}} {
		if node[0] == "" {
			continue
		}
		address := node[0]
		if node[1] != "" {
			key, err := ReadSecret(node[1], 0o007)
			if err != nil {
				return nil, fmt.Errorf("the key of the chain %s: %w", c.Name, err)
			}
			address = strings.ReplaceAll(address, "{key}", url.PathEscape(key))
		}
		clients = append(clients, NewClient(c.Name, address))
	}
	return clients, nil
}

// maxSecret is how many bytes a file with a secret may have.
const maxSecret = 4096

// ReadSecret returns what is in a file, without the space around it. A file with a bit of
// never in its mode is refused, as 0o007 for those that everybody may use, and so is an
// empty one. No error has anything of what is in it.
func ReadSecret(path string, never os.FileMode) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a file", path)
	case info.Mode().Perm()&never != 0:
		return "", fmt.Errorf("others may use %s (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	secret := strings.TrimSpace(string(raw))
	switch {
	case err != nil:
		return "", err
	case len(raw) > maxSecret:
		return "", fmt.Errorf("%s has more than %d bytes", path, maxSecret)
	case secret == "":
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}
