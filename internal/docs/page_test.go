package docs

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the top of the checkout.
const root = "../.."

// page is a Markdown file.
type page struct {
	// name is its path from the top of the checkout, with slashes.
	name string
	// prose has one element for each line. The lines of fenced blocks are
	// empty in it.
	prose []string
	// blocks are the fenced blocks.
	blocks []block
}

// block is a fenced block of a page.
type block struct {
	line     int // of its first line
	language string
	lines    []string
}

// place is a text and where it stands.
type place struct {
	line int
	text string
}

// readPages reads every Markdown file of the checkout.
func readPages(t *testing.T) []page {
	t.Helper()
	var pages []page
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		name, err = filepath.Rel(root, name)
		if err != nil {
			return err
		}
		pages = append(pages, parsePage(filepath.ToSlash(name), string(text)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "docs/configuration.md"} {
		if !slices.ContainsFunc(pages, func(p page) bool { return p.name == name }) {
			t.Fatalf("%s was not found: the documentation is not checked", name)
		}
	}
	return pages
}

func parsePage(name, text string) page {
	p := page{name: name}
	fence := ""
	for i, line := range strings.Split(text, "\n") {
		mark := fenceMark(line)
		switch {
		case fence == "" && mark != "":
			fence = mark
			p.blocks = append(p.blocks, block{line: i + 2, language: strings.TrimSpace(strings.TrimLeft(line, " `~"))})
		case fence != "" && strings.HasPrefix(mark, fence):
			fence = ""
		case fence != "":
			last := &p.blocks[len(p.blocks)-1]
			last.lines = append(last.lines, line)
		default:
			p.prose = append(p.prose, line)
			continue
		}
		p.prose = append(p.prose, "")
	}
	return p
}

// fenceMark returns the row of backticks or tildes that begins or ends a block.
func fenceMark(line string) string {
	return strings.TrimLeft(regexp.MustCompile("^ *(```+|~~~+)").FindString(line), " ")
}

// paragraphs returns the prose in pieces without an empty line, which is how far
// inline code can reach.
func (p page) paragraphs() []place {
	var out []place
	open := false
	for i, line := range p.prose {
		switch {
		case strings.TrimSpace(line) == "":
			open = false
		case open:
			out[len(out)-1].text += "\n" + line
		default:
			out, open = append(out, place{i + 1, line}), true
		}
	}
	return out
}

// inline returns the inline code of the page.
func (p page) inline() []place {
	var out []place
	for _, par := range p.paragraphs() {
		for _, at := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatchIndex(par.text, -1) {
			out = append(out, place{
				par.line + strings.Count(par.text[:at[0]], "\n"),
				strings.Join(strings.Fields(par.text[at[2]:at[3]]), " "),
			})
		}
	}
	return out
}

// anchors returns the anchors that GitHub makes from the headings.
func (p page) anchors() map[string]bool {
	out := make(map[string]bool)
	for _, line := range p.prose {
		m := regexp.MustCompile(`^#{1,6} +(.+?) *#*$`).FindStringSubmatch(line)
		if m == nil {
			continue
		}
		slug := strings.ToLower(regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(m[1], "$1"))
		slug = regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(slug, "")
		out[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return out
}

// isHistory tells whether the page is about the past, whose commands need not
// exist any more.
func (p page) isHistory() bool {
	return p.name == "CHANGELOG.md" || path.Dir(p.name) == "docs/adr"
}
