package docs

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLinks follows the relative links of all pages, and their anchors.
func TestLinks(t *testing.T) {
	pages := readPages(t)
	links := 0
	for _, p := range pages {
		for _, link := range p.links() {
			links++
			if problem := checkLink(pages, p, link.text); problem != "" {
				t.Errorf("%s:%d: %s", p.name, link.line, problem)
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links were found: they were not checked", links)
	}
}

// links returns the targets of the links, of both Markdown forms, that lead to
// a place in the checkout.
func (p page) links() []place {
	link := regexp.MustCompile(`(?m)\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)|^\[[^\]]+\]: +<?([^\s>]+)`)
	var out []place
	for _, par := range p.paragraphs() {
		text := regexp.MustCompile("`[^`]*`").ReplaceAllStringFunc(par.text, func(code string) string {
			return "code" + strings.Repeat("\n", strings.Count(code, "\n"))
		})
		for _, at := range link.FindAllStringSubmatchIndex(text, -1) {
			m := link.FindStringSubmatch(text[at[0]:at[1]])
			target := m[1] + m[2]
			if u, err := url.Parse(target); err != nil || u.Scheme == "" {
				out = append(out, place{par.line + strings.Count(text[:at[0]], "\n"), target})
			}
		}
	}
	return out
}

// checkLink returns what is wrong with a link of from.
func checkLink(pages []page, from page, target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return fmt.Sprintf("the link %q is not one: %v", target, err)
	}
	name := from.name
	if u.Path != "" {
		name = path.Join(path.Dir(from.name), u.Path)
	}
	if name == ".." || strings.HasPrefix(name, "../") {
		return fmt.Sprintf("the link %q leads out of the repository", target)
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err != nil {
		return fmt.Sprintf("the link %q leads to %s, which does not exist", target, name)
	}
	if u.Fragment == "" {
		return ""
	}
	i := slices.IndexFunc(pages, func(p page) bool { return p.name == name })
	if i < 0 || !pages[i].anchors()[u.Fragment] {
		return fmt.Sprintf("the link %q leads to a heading that %s does not have", target, name)
	}
	return ""
}

func TestLinkRulesCanFail(t *testing.T) {
	pages := []page{parsePage("docs/design.md", "# How it works\n\n## What `x` costs: a lot\n")}
	for _, test := range []struct {
		line string
		ok   bool
	}{
		{"[a](design.md)", true},
		{"[`a`](design.md)", true},
		{"[a](../README.md) and [b](adr)", true},
		{"[a](../COPYING)", false},
		{"[a](design.md) and [b](desing.md)", false},
		{"[a](design.md \"title\")", true},
		{"[a](desing.md \"title\")", false},
		{"[a](#how-it-works)", true},
		{"[a](design.md#what-x-costs-a-lot)", true},
		{"[a](#how-it-fails)", false},
		{"[a](adr#how-it-works)", false},
		{"[a]: design.md", true},
		{"[a]: desing.md", false},
		{"[a](../../elsewhere)", false},
		{"[a](https://example.org/desing.md)", true},
		{"`[a](desing.md)`", true},
		{"`a\nb` [a\nb](desing.md) `c`", false},
	} {
		from := parsePage("docs/design.md", "# How it works\n"+test.line)
		var problems []string
		for _, link := range from.links() {
			if problem := checkLink(pages, from, link.text); problem != "" {
				problems = append(problems, problem)
			}
		}
		if (len(problems) == 0) != test.ok {
			t.Errorf("%s: should be fine: %v, got %q", test.line, test.ok, problems)
		}
	}
}
