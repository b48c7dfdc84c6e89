package scyllastate

// Section is the Config of a program whose service.json may have no state.scylla,
// as that of a peer with a crdt or raft consensus. The environment changes it only
// if the section is there: a peer without it starts whatever our variables say.
type Section struct {
	*Config
	loaded bool
}

// LoadJSON implements config.ComponentConfig.
func (s *Section) LoadJSON(raw []byte) error {
	s.loaded = true
	return s.Config.LoadJSON(raw)
}

// ApplyEnvVars implements config.ComponentConfig.
func (s *Section) ApplyEnvVars() error {
	if !s.loaded {
		return nil
	}
	return s.Config.ApplyEnvVars()
}
