package invoice

import (
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// JSON writes the copy as JSON for programs, with all numbers exact. The digest is that of the
// member document, made canonical. Nothing is written if the copy is not right.
func (c Copy) JSON(w io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	digest, err := c.Document.Digest()
	if err != nil {
		return err
	}
	whole := struct {
		Document     Document      `json:"document"`
		Digest       string        `json:"sha256"`
		Standing     *Standing     `json:"standing,omitzero"`
		Links        []Link        `json:"links"`
		CreditNotes  []Reference   `json:"credit_notes"`
		Explanations []Explanation `json:"explanations"`
	}{c.Document, digest, nil, c.Links, c.CreditNotes, c.Explanations}
	if c.Standing.State != "" {
		whole.Standing = &c.Standing
	}
	text, err := json.Marshal(whole, jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("write %s as JSON: %w", c.Document.title(), err)
	}
	if _, err := w.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write %s as JSON: %w", c.Document.title(), err)
	}
	return nil
}
