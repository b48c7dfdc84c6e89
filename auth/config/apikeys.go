package config

// checkAPIKeys checks the versions of the peppers.
func (c Config) checkAPIKeys(p *Problems) {
	versions := make(map[int]bool)
	for i, pepper := range c.APIKeys.Peppers {
		switch {
		case pepper.Version < 1:
			p.AddAt("api_keys.peppers", i, "has the version %d: use 1 or more", pepper.Version)
		case versions[pepper.Version]:
			p.AddAt("api_keys.peppers", i, "has the version %d of another: give it the next one", pepper.Version)
		}
		versions[pepper.Version] = true
		if pepper.File == "" {
			p.AddAt("api_keys.peppers", i, "has no file: name the file with the pepper")
		}
	}
	if current := c.APIKeys.CurrentPepper; current != 0 && !versions[current] {
		p.Add("api_keys.current_pepper", "is %d, and there is no such pepper: use the version of one of api_keys.peppers, or 0", current)
	}
}

// currentPepper is the version with which new keys are made.
func (k APIKeys) currentPepper() int {
	current := k.CurrentPepper
	if current == 0 {
		for _, pepper := range k.Peppers {
			current = max(current, pepper.Version)
		}
	}
	return current
}
