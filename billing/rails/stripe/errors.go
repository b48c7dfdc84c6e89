package stripe

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	sdk "github.com/stripe/stripe-go/v82"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// explain returns an error of the SDK in our words: a Refusal if Stripe does not want what
// was asked, another error if it may do it later. It never has the key.
func (c *Collector) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var e *sdk.Error
	if !errors.As(err, &e) {
		if strings.Contains(err.Error(), c.key) {
			return fmt.Errorf("%s: %s", doing, strings.ReplaceAll(err.Error(), c.key, "(the key)"))
		}
		return fmt.Errorf("%s: %w", doing, err)
	}
	said := fmt.Sprintf("%.300s", strings.ReplaceAll(e.Msg, c.key, "(the key)"))
	if e.RequestID != "" {
		said += " (request " + e.RequestID + ")"
	}
	switch status := e.HTTPStatusCode; {
	case status == http.StatusUnauthorized:
		return rails.Refuse("%s: Stripe does not know the key, or no longer", doing)
	case status == http.StatusForbidden:
		return rails.Refuse("%s: the key has not the right to: %s", doing, said)
	case status == http.StatusConflict || status == http.StatusTooManyRequests || status >= 500 || e.Type == sdk.ErrorTypeIdempotency:
		return fmt.Errorf("%s: Stripe answered %d: %s", doing, status, said)
	default:
		return rails.Refuse("%s: Stripe answered %d: %s", doing, status, said)
	}
}

// isMissing tells that Stripe does not know the id.
func isMissing(err error) bool {
	var e *sdk.Error
	return errors.As(err, &e) && e.HTTPStatusCode == http.StatusNotFound
}

// isKept tells that Stripe holds against a key what it was used for before: a failure,
// which it answers again for a day whatever is sent, or a request with another body.
func isKept(err error) bool {
	var e *sdk.Error
	return errors.As(err, &e) && (e.Type == sdk.ErrorTypeIdempotency ||
		e.LastResponse != nil && e.LastResponse.Header.Get("Idempotent-Replayed") == "true")
}
