package monitoring

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const runbooks = "https://github.com/ipfs-cluster/ipfs-cluster-scylla/blob/main/docs/runbooks/"

// Each alert says how bad it is, what it is and what to do, and where to read on.
func TestAlertsSayWhatToDo(t *testing.T) {
	for _, problem := range problemsOf(alerts(t)) {
		t.Error(problem)
	}
}

// problemsOf returns what is missing from alerts.
func problemsOf(alerts []rule) []string {
	var problems []string
	for _, a := range alerts {
		complain := func(format string, args ...any) {
			problems = append(problems, a.file+": "+a.Alert+" "+fmt.Sprintf(format, args...))
		}
		if s := a.Labels["severity"]; s != "page" && s != "ticket" {
			complain("has the severity %q", s)
		}
		page := a.file
		if a.file == sloth { // the label comes from its series, and two windows are its "for"
			page = "slo"
		} else {
			if a.Labels["component"] != a.file {
				complain("has the component %q, and is in %s", a.Labels["component"], a.file)
			}
			if a.For == "" {
				complain("fires at once")
			}
			if len(a.Labels) != 2 {
				complain("has the labels %v, of which nobody knows", slices.Sorted(maps.Keys(a.Labels)))
			}
		}
		if a.Annotations["summary"] == "" {
			complain("has no summary")
		}
		if d := a.Annotations["description"]; d == "" || strings.Count(d, ". ") > 0 || !strings.HasSuffix(d, ".") {
			complain("does not say in one sentence what to do: %q", d)
		}
		if want := runbooks + page + ".md#" + strings.ToLower(a.Alert); a.Annotations["runbook_url"] != want {
			complain("has the runbook %q, not %q", a.Annotations["runbook_url"], want)
		}
		uid, ok := strings.CutPrefix(a.Annotations["dashboard_url"], "/d/")
		if _, err := os.Stat(filepath.Join("dashboards", "json", uid+".json")); !ok || err != nil {
			complain("has the dashboard %q, which is none", a.Annotations["dashboard_url"])
		}
	}
	return problems
}

// TestProblemsAreFound shows that what is missing is seen.
func TestProblemsAreFound(t *testing.T) {
	good := rule{
		file: "database", Alert: "X", For: "5m", Labels: map[string]string{"severity": "page", "component": "database"},
		Annotations: map[string]string{"summary": "s", "description": "Do it.", "runbook_url": runbooks + "database.md#x", "dashboard_url": "/d/ipfs-cluster-cql"},
	}
	if problems := problemsOf([]rule{good}); len(problems) > 0 {
		t.Errorf("a good one: %q", problems)
	}
	for want, spoil := range map[string]func(*rule){
		"severity":   func(r *rule) { r.Labels["severity"] = "critical" },
		"component":  func(r *rule) { r.Labels["component"] = "feed" },
		"nobody":     func(r *rule) { r.Labels["team"] = "a" },
		"at once":    func(r *rule) { r.For = "" },
		"no summary": func(r *rule) { delete(r.Annotations, "summary") },
		"sentence":   func(r *rule) { r.Annotations["description"] = "Do it. And that." },
		"runbook":    func(r *rule) { r.Annotations["runbook_url"] += "y" },
		"dashboard":  func(r *rule) { r.Annotations["dashboard_url"] = "/d/none" },
	} {
		bad := good
		bad.Labels, bad.Annotations = maps.Clone(good.Labels), maps.Clone(good.Annotations)
		spoil(&bad)
		if problems := problemsOf([]rule{bad}); len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: %q", want, problems)
		}
	}
}

// Each alert has its section in a runbook, and each section its alert.
func TestRunbooks(t *testing.T) {
	want := make(map[string]bool) // "file#Alert"
	for _, a := range alerts(t) {
		page := a.file
		if page == sloth {
			page = "slo"
		}
		want[page+"#"+a.Alert] = true
	}
	pages, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("there are no runbooks: %v", err)
	}
	heading := regexp.MustCompile(`(?m)^## (.+)$`)
	have := make(map[string]bool)
	for _, page := range pages {
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		if name == "README" {
			continue
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		sections := heading.FindAllStringSubmatchIndex(string(text), -1)
		for i, at := range sections {
			end := len(text)
			if i+1 < len(sections) {
				end = sections[i+1][0]
			}
			title := string(text[at[2]:at[3]])
			have[name+"#"+title] = true
			for _, part := range []string{"What users feel", "Look at", "Do", "It is over when"} {
				if !strings.Contains(string(text[at[0]:end]), "- **"+part+"**: ") {
					t.Errorf("%s: %s does not say: %s", name, title, part)
				}
			}
		}
	}
	for section := range want {
		if !have[section] {
			t.Errorf("no runbook has the section %s", section)
		}
	}
	for section := range have {
		if !want[section] {
			t.Errorf("the section %s is of no alert", section)
		}
	}
}
