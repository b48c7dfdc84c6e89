package stripe

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// ask is what the journal has of one revision of an invoice, from before Stripe was asked
// anything about it.
type ask struct {
	Number   string `json:"number"`
	Rev      int    `json:"rev"`
	Customer string `json:"customer"`
	// Digest is of all that is asked.
	Digest string `json:"digest"`
	// Begun is when, in seconds.
	Begun int64 `json:"begun"`
	// Nonce tells who wrote it.
	Nonce string `json:"nonce"`
}

// maxName bounds numbers, so that they fit into idempotency keys.
const maxName = 100

// checkName tells whether a number can be part of a key.
func checkName(number string) error {
	if number == "" || len(number) > maxName || strings.ContainsFunc(number, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
		return rails.Refuse("the number %.120q is empty, has more than %d bytes, or has a space, a colon or other characters than ASCII", number, maxName)
	}
	return nil
}

// step is the key of a step, in the journal and at Stripe.
func (a ask) step(name string) string { return fmt.Sprintf("inv:%s:%d:%s", a.Number, a.Rev, name) }

// asks returns what was begun of an invoice, the first one first.
func (c *Collector) asks(ctx context.Context, number string) ([]ask, error) {
	var out []ask
	for {
		text, err := c.journal.Recall(ctx, Name, askKey(number, len(out)))
		if err != nil {
			return nil, fmt.Errorf("looking for what was asked of invoice %s: %w", number, err)
		}
		if text == "" {
			return out, nil
		}
		a, err := parseAsk(text)
		if err != nil {
			return nil, fmt.Errorf("invoice %s: %w", number, err)
		}
		out = append(out, a)
	}
}

func askKey(number string, n int) string { return fmt.Sprintf("inv:%s:asked:%d", number, n) }

func parseAsk(text string) (ask, error) {
	var a ask
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return ask{}, fmt.Errorf("what the journal has is unreadable: %w", err)
	}
	return a, nil
}

// begin returns the ask for an invoice, and whether it is new: if it is not, Stripe may
// have been asked anything. At most one ask of a number is not ended, and nothing of the
// others can be paid at Stripe.
func (c *Collector) begin(ctx context.Context, invoice rails.Invoice) (a ask, isNew bool, err error) {
	mine := ask{
		Number: invoice.Number, Rev: invoice.Rev, Customer: invoice.Customer, Digest: digest(invoice),
		Begun: time.Now().Unix(), Nonce: rand.Text(),
	}
	text, err := json.Marshal(mine)
	if err != nil {
		return ask{}, false, fmt.Errorf("invoice %s: %w", invoice.Number, err)
	}
	before, err := c.asks(ctx, invoice.Number)
	if err != nil {
		return ask{}, false, err
	}
	for n := 0; ; n++ {
		if n == len(before) {
			kept, err := c.journal.Remember(ctx, Name, askKey(invoice.Number, n), string(text))
			if err != nil {
				return ask{}, false, fmt.Errorf("noting that invoice %s is asked: %w", invoice.Number, err)
			}
			other, err := parseAsk(kept)
			if err != nil {
				return ask{}, false, fmt.Errorf("invoice %s: %w", invoice.Number, err)
			}
			before = append(before, other)
		}
		switch a := before[n]; {
		case a.Rev == invoice.Rev && a.Digest != mine.Digest:
			return ask{}, false, rails.Refuse("invoice %s was asked before with other content under the revision %d", a.Number, a.Rev)
		case a.Rev == invoice.Rev:
			return a, a.Nonce == mine.Nonce, nil
		case a.Rev > invoice.Rev:
			return ask{}, false, rails.Refuse("invoice %s was asked with the revision %d, after %d", a.Number, a.Rev, invoice.Rev)
		default:
			ended, err := c.ended(ctx, a)
			if err != nil {
				return ask{}, false, err
			}
			if ended == "" {
				return ask{}, false, rails.Refuse("invoice %s is asked with the revision %d already: cancel it first", a.Number, a.Rev)
			}
			// Who ended it may have stopped before it was taken back.
			if err := c.withdraw(ctx, a); err != nil {
				return ask{}, false, err
			}
		}
	}
}

// ended returns why an ask has ended, "" if it has not.
func (c *Collector) ended(ctx context.Context, a ask) (string, error) {
	why, err := c.journal.Recall(ctx, Name, a.step("ended"))
	if err != nil {
		return "", fmt.Errorf("looking whether invoice %s is still asked: %w", a.Number, err)
	}
	return why, nil
}

// end notes that an ask has ended, before anything is taken back at Stripe: from here on
// nothing of it becomes final. It returns the first reason that was noted.
func (c *Collector) end(ctx context.Context, a ask, why string) (string, error) {
	kept, err := c.journal.Remember(ctx, Name, a.step("ended"), why)
	if err != nil {
		return "", fmt.Errorf("noting that invoice %s is asked no longer: %w", a.Number, err)
	}
	return kept, nil
}

// numberKey is where the journal has which invoice of ours one of Stripe's is for. Its
// metadata say so, too, but somebody may change or copy them.
func numberKey(id string) string { return "of:" + id }

// digest is of all that an invoice asks.
func digest(i rails.Invoice) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %q %q %d %v %d %q\n", i.Number, i.Rev, i.Owner, i.Currency.Code, i.Currency.Digits, i.Total, i.Due.Unix(), i.Customer)
	for _, line := range i.Lines {
		fmt.Fprintf(h, "%q %v\n", line.Description, line.Amount)
	}
	return hex.EncodeToString(h.Sum(nil))
}
