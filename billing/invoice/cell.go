package invoice

// Cell returns a text for a cell of a table that a spreadsheet may open, as CSV has it: on one
// line, and what would be a formula has a "'" before it.
func Cell(text string) string { return cell(text) }
