package monitoring

import (
	"os"
	"strings"
	"testing"
	"text/template"
)

// message is what Alertmanager fills templates with, as far as ours look at it.
func message(status string, summaries ...string) map[string]any {
	var firing []any
	for _, summary := range summaries {
		firing = append(firing, map[string]any{"Annotations": map[string]string{"summary": summary}})
	}
	return map[string]any{
		"Status":      status,
		"Alerts":      map[string]any{"Firing": firing},
		"GroupLabels": map[string]string{"alertname": "X", "component": "peers"}, "CommonLabels": map[string]string{"severity": "page"},
		"CommonAnnotations": map[string]string{"description": "Do it.", "runbook_url": "https://r#x", "dashboard_url": "/d/y"},
	}
}

// What is sent can be made of one alert, of several and of none that fires any more: amtool
// does not look.
func TestTemplates(t *testing.T) {
	text, err := os.ReadFile("alertmanager/templates/ipfs-cluster.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	defined, err := template.New("").Option("missingkey=error").Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	readYAML(t, alertmanagerConfig, &config)
	used := 0
	eachText(config["receivers"], func(text string) {
		if !strings.Contains(text, "{{") {
			return
		}
		used++
		one, err := template.Must(defined.Clone()).New("one").Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		for _, m := range []map[string]any{message("firing", "a"), message("firing", "a", "b"), message("resolved")} {
			if err := one.Execute(new(strings.Builder), m); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	})
	if used < 10 {
		t.Errorf("only %d templates were found", used)
	}
	for want, m := range map[string]map[string]any{
		"X: a": message("firing", "a"), "X: 2 alerts": message("firing", "a", "b"), "X: over": message("resolved"),
	} {
		var got strings.Builder
		if err := defined.ExecuteTemplate(&got, "ipfs_cluster.title", m); err != nil || got.String() != want {
			t.Errorf("the title is %q, not %q: %v", got.String(), want, err)
		}
	}
	var got strings.Builder
	if err := defined.ExecuteTemplate(&got, "ipfs_cluster.text", message("firing", "a", "b")); err != nil ||
		got.String() != "a\nb\nDo it.\n<https://r#x|Runbook> · <http://127.0.0.1:3000/d/y|Dashboard>" {
		t.Errorf("the text is %q: %v", got.String(), err)
	}
}

// eachText calls a function with each text of a value of YAML.
func eachText(value any, do func(string)) {
	switch v := value.(type) {
	case string:
		do(v)
	case []any:
		for _, one := range v {
			eachText(one, do)
		}
	case map[string]any:
		for _, one := range v {
			eachText(one, do)
		}
	}
}
