package docs

import (
	"regexp"
	"slices"
	"strings"
)

// shellLanguages are those of blocks whose lines are commands. A block without
// a language may hold output too, whose lines begin with no program.
func shellLanguages() []string { return []string{"", "sh", "bash", "shell", "console"} }

// commands returns the command lines of the page, without prompts.
func (p page) commands() []place {
	out := p.inline()
	for _, b := range p.blocks {
		if !slices.Contains(shellLanguages(), b.language) {
			continue
		}
		for i := 0; i < len(b.lines); i++ {
			first, text := i, b.lines[i]
			for strings.HasSuffix(text, `\`) && i+1 < len(b.lines) {
				i++
				text = strings.TrimSuffix(text, `\`) + b.lines[i]
			}
			out = append(out, place{b.line + first, strings.TrimPrefix(strings.TrimSpace(text), "$ ")})
		}
	}
	return out
}

// shellCommands returns the words of each command of a line, without
// assignments before it, redirections and a comment after it, and quotes.
func shellCommands(line string) [][]string {
	var out [][]string
	var words []string
	flush := func() {
		if len(words) > 0 {
			out = append(out, words)
		}
		words = nil
	}
	for _, word := range regexp.MustCompile(`\d*[<>]+&?\s*\S+|&&|\|\|?|;|(?:'[^']*'|"[^"]*"|[^\s;|&'"])+`).FindAllString(line, -1) {
		switch {
		case word == "&&" || word == "||" || word == "|" || word == ";":
			flush()
		case strings.HasPrefix(word, "#"):
			flush()
			return out
		case regexp.MustCompile(`^\d*[<>]`).MatchString(word):
		case len(words) == 0 && regexp.MustCompile(`^[A-Z_][A-Z0-9_]*=`).MatchString(word):
		default:
			words = append(words, strings.NewReplacer(`'`, "", `"`, "").Replace(word))
		}
	}
	flush()
	return out
}

// isPlaceholder tells a word that stands for others.
func isPlaceholder(word string) bool {
	return strings.ContainsAny(word, "…<>[]") || strings.Contains(word, "...")
}
