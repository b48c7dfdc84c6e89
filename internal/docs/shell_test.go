package docs

import (
	"regexp"
	"slices"
	"strings"
)

// shellLanguages are those of blocks whose lines are commands.
func shellLanguages() []string { return []string{"", "sh", "bash", "shell", "console"} }

// command is a line that may be one of the shell.
type command struct {
	place
	// strict says that it is one: it stands in a block of commands. Inline
	// code may be anything.
	strict bool
}

// commands returns the command lines of the page, without prompts.
func (p page) commands() []command {
	var out []command
	for _, code := range p.inline() {
		out = append(out, command{code, false})
	}
	for _, b := range p.blocks {
		if slices.Contains(shellLanguages(), b.language) {
			out = append(out, b.commands()...)
		}
	}
	return out
}

// commands returns the lines of a block of commands. Where there are prompts,
// the other lines are output. Lines for go.mod are none: internal/consumer
// compares them.
func (b block) commands() []command {
	const prompt = "$ "
	prompts := slices.ContainsFunc(b.lines, func(line string) bool { return strings.HasPrefix(line, prompt) })
	var out []command
	for i := 0; i < len(b.lines); i++ {
		first, text := i, b.lines[i]
		for strings.HasSuffix(text, `\`) && i+1 < len(b.lines) {
			i++
			text = strings.TrimSuffix(text, `\`) + b.lines[i]
		}
		text, prompted := strings.CutPrefix(strings.TrimSpace(text), prompt)
		if prompts && !prompted || regexp.MustCompile(`^replace \S+ => `).MatchString(text) {
			continue
		}
		out = append(out, command{place{b.line + first, text}, true})
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
			word = strings.NewReplacer(`'`, "", `"`, "").Replace(word)
			if len(words) == 0 {
				word = strings.TrimLeft(word, "(")
			}
			if !strings.Contains(word, "(") {
				word = strings.TrimRight(word, ")")
			}
			words = append(words, word)
		}
	}
	flush()
	return out
}

// isPlaceholder tells a word that stands for others.
func isPlaceholder(word string) bool {
	return strings.ContainsAny(word, "…<>[]") || strings.Contains(word, "...")
}
