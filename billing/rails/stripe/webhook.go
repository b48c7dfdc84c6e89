package stripe

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"github.com/stripe/stripe-go/v82/webhook"
)

var logger = logging.Logger("stripe")

const (
	// MaxBody is how long the body of a webhook may be, in bytes.
	MaxBody = 1 << 20
	// Tolerance is how old a webhook may be: Stripe signs each attempt anew.
	Tolerance = 5 * time.Minute
	// patience is how long a webhook may take: Stripe waits not much longer.
	patience = 15 * time.Second
)

// webhooks serves what Stripe calls.
type webhooks struct {
	collector *Collector
	secrets   []string
}

// Webhooks returns the handler of the URL that Stripe calls when something has changed. It
// answers 2xx when it is recorded, and 503 when it cannot be: then Stripe calls again. The
// files have the secrets that Stripe signs with: one, or while it is changed the old one
// and the new one.
func (c *Collector) Webhooks(secretFiles ...string) (http.Handler, error) {
	secrets, err := readSecrets(secretFiles)
	if err != nil {
		return nil, err
	}
	return &webhooks{collector: c, secrets: secrets}, nil
}

func (h *webhooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		http.Error(w, "the body is too long", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "the body did not come", http.StatusBadRequest)
		return
	}
	if !h.signed(body, r.Header.Get("Stripe-Signature")) {
		http.Error(w, "the signature is missing, wrong or old", http.StatusBadRequest)
		return
	}
	e, err := parseEvent(body)
	if err != nil {
		logger.Warnf("an event that Stripe has signed: %s", err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if e.live != h.collector.live {
		http.Error(w, "the event is of another mode (live or test) than the key", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	if err := h.collector.handle(ctx, e); err != nil {
		logger.Errorf("event %s is not recorded, Stripe will send it again: %s", e.id, err)
		w.Header().Set("Retry-After", "60")
		http.Error(w, "not recorded: send it again", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// signed tells whether one of the secrets has signed the body, not long ago.
func (h *webhooks) signed(body []byte, header string) bool {
	for _, secret := range h.secrets {
		if webhook.ValidatePayloadWithTolerance(body, header, secret, Tolerance) == nil {
			return true
		}
	}
	return false
}

// handle records what an event is about, and then that it is done with the event.
func (c *Collector) handle(ctx context.Context, e event) error {
	if e.kind == ofNothing {
		return nil
	}
	key := "evt:" + e.id
	done, err := c.journal.Recall(ctx, Name, key)
	if err != nil || done != "" {
		return wrap("looking whether the event is known", err)
	}
	switch e.kind {
	case ofRefund:
		err = c.recordRefund(ctx, e.object)
	case ofDispute:
		err = c.recordDispute(ctx, e.object)
	default:
		err = c.recordInvoice(ctx, e.object, e.created)
	}
	if err != nil {
		return err
	}
	_, err = c.journal.Remember(ctx, Name, key, e.created.Format(time.RFC3339))
	return wrap("noting the event", err)
}
