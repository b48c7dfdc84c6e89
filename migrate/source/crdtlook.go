package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// crdtFormat is the version of the data of go-ds-crdt that is known here.
const crdtFormat = 1

// look reads all that is not a pin: the heads of the history, which are other
// ones after every change, whether that is complete, and of which version it is.
func (s *crdtSource) look(ctx context.Context) error {
	sum := sha256.New()
	add := func(key, value []byte) {
		sum.Write(binary.AppendUvarint(nil, uint64(len(key))))
		sum.Write(key)
		sum.Write(binary.AppendUvarint(nil, uint64(len(value))))
		sum.Write(value)
	}
	empty := true
	err := s.store.iterate(ctx, []byte(s.root.ChildString("h").String()+"/"), nil, func(key []byte, value func() ([]byte, error)) error {
		v, err := value()
		add(key, v)
		empty = false
		return err
	})
	if err != nil {
		return s.explain(err)
	}
	dirty, found, err := s.get(ctx, "d")
	if err != nil {
		return err
	}
	if found {
		add([]byte("d"), dirty)
		s.warnings = append(s.warnings, fmt.Sprintf("the crdt history of %s is marked as dirty: the peer may have missed changes that others have made. Run it until it has repaired that (crdt.repair_interval), or use `ipfs-cluster-service state crdt mark-clean` if you know better, and migrate then; or migrate from another peer", s.folder.path))
	}
	format, found, err := s.get(ctx, "crdt_version")
	if err != nil {
		return err
	}
	add([]byte("v"), format)
	if err := s.checkFormat(format, found && !empty, empty); err != nil {
		return err
	}
	if doubt := s.store.warning(); doubt != "" {
		s.warnings = append(s.warnings, doubt)
	}
	if empty {
		s.warnings = append(s.warnings, fmt.Sprintf("the datastore %s has no pins below %s: if that is wrong, the daemon may get another namespace from its environment; set consensus.crdt.datastore_namespace in %s", s.where, s.root, configFile))
	}
	s.fingerprint = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// checkFormat judges the version of go-ds-crdt that the data was last used by.
func (s *crdtSource) checkFormat(raw []byte, found, empty bool) error {
	if empty {
		return nil
	}
	if !found {
		s.warnings = append(s.warnings, fmt.Sprintf("the datastore %s was last used by an ipfs-cluster that could keep an old version of a pin, or a removed one, when changes came in an unusual order: start the peer once with ipfs-cluster 1.1.2 or later, which repairs that", s.where))
		return nil
	}
	v, n := binary.Uvarint(raw)
	if n <= 0 || v-1 != crdtFormat { // it is stored plus one
		return fmt.Errorf("the datastore %s has the crdt format %x, which is not known here: use a later version of this program", s.where, raw)
	}
	return nil
}

// get returns the value of one key below the root.
func (s *crdtSource) get(ctx context.Context, name string) (value []byte, found bool, err error) {
	want := s.root.ChildString(name).Bytes()
	err = s.store.iterate(ctx, want, nil, func(key []byte, get func() ([]byte, error)) error {
		if bytes.Equal(key, want) {
			found = true
			value, err = get()
			return errors.Join(err, errEnough)
		}
		return errEnough
	})
	if errors.Is(err, errEnough) && !isDamage(err) {
		err = nil
	}
	return value, found, s.explain(err)
}

// errEnough ends an iteration.
var errEnough = errors.New("enough")

func isDamage(err error) bool {
	var d *damage
	return errors.As(err, &d)
}
