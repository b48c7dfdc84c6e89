package authz

// Report is what Check found of policies that are good.
type Report struct {
	Version  string   `json:"version"`
	Policies []string `json:"policies"`
	// Cases is how many tests had the expected outcome.
	Cases int `json:"cases"`
	// Untested are policies that decide no test.
	Untested []string `json:"untested,omitempty"`
	// Sealed says whether the manifest is that of these files, so that a gateway takes
	// them; if it is not, Unsealed says why.
	Sealed   bool   `json:"sealed"`
	Unsealed string `json:"unsealed,omitempty"`
}

// Check reads policies as a gateway would, whether or not they are sealed. The error
// has all that is wrong with them.
func Check(folder Folder, withoutRoles bool) (Report, error) {
	files, err := folder.Files()
	if err != nil {
		return Report{}, err
	}
	set, err := NewSet(files, withoutRoles)
	if err != nil {
		return Report{}, err
	}
	report := Report{Version: set.Version(), Policies: set.Policies(), Cases: len(set.cases), Untested: set.untested(), Sealed: true}
	if _, err := folder.Read(); err != nil {
		report.Sealed, report.Unsealed = false, err.Error()
	}
	return report, nil
}
