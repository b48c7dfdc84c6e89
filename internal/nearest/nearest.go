// Package nearest finds the name that somebody meant who wrote another one.
package nearest

import "strings"

// Names returns the known names that are the fewest edits away from name, none if those
// are more than two and more than a third of its length. A name that goes on where this one
// ends, as USERNAME after USER, is one edit away.
func Names(name string, known []string) []string {
	least := max(2, len(name)/3)
	var near []string
	for _, k := range known {
		edits := distance(name, k)
		if name != "" && strings.HasPrefix(k, name) {
			edits = 1
		}
		switch {
		case edits < least:
			least, near = edits, []string{k}
		case edits == least:
			near = append(near, k)
		}
	}
	return near
}

// distance is how many bytes must be inserted, removed or replaced to make b of a
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1) // of the distances from a[:i] to each b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
