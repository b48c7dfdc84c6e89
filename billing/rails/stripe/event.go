package stripe

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// event is what is taken from an event of Stripe: which object has changed. What has become
// of it is asked for.
type event struct {
	id      string
	kind    kind
	object  string // its id, "" for of nothing
	created time.Time
	live    bool
}

// kind is what an event is about.
type kind int

const (
	ofNothing kind = iota // of nothing that matters here
	ofInvoice
	ofRefund
	ofDispute
)

// parseEvent reads the body of a webhook, whose signature was good. Events of kinds that do
// not matter here have no object.
func parseEvent(body []byte) (event, error) {
	var wire struct {
		ID       string `json:"id"`
		Object   string `json:"object"`
		Type     string `json:"type"`
		Created  int64  `json:"created"`
		Livemode bool   `json:"livemode"`
		Data     struct {
			Object struct {
				ID      string          `json:"id"`
				Object  string          `json:"object"`
				Invoice json.RawMessage `json:"invoice"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		return event{}, fmt.Errorf("event is unreadable: %w", err)
	}
	if wire.Object != "event" || !isID(wire.ID, "evt_") || wire.Type == "" {
		return event{}, errors.New("event has no id or no type")
	}
	if wire.Created <= 0 || wire.Created > 1<<40 {
		return event{}, errors.New("event has no time")
	}
	e := event{id: wire.ID, created: time.Unix(wire.Created, 0).UTC(), live: wire.Livemode}
	object, prefix := wire.Data.Object, ""
	switch {
	case strings.HasPrefix(wire.Type, "invoice.") && object.Object == "invoice" && object.ID != "":
		e.kind, e.object, prefix = ofInvoice, object.ID, "in_"
	case strings.HasPrefix(wire.Type, "invoice_payment.") && object.Object == "invoice_payment":
		// Its invoice is an id, as nothing is expanded in events.
		if err := json.Unmarshal(object.Invoice, &e.object); err != nil {
			return event{}, errors.New("event of a payment names no invoice")
		}
		e.kind, prefix = ofInvoice, "in_"
	case object.Object == "refund":
		e.kind, e.object = ofRefund, object.ID
		// Those of bank transfers begin otherwise.
		prefix, _, _ = strings.Cut(object.ID, "_")
		prefix += "_"
	case object.Object == "dispute":
		e.kind, e.object = ofDispute, object.ID
		prefix, _, _ = strings.Cut(object.ID, "_")
		prefix += "_"
	default:
		return e, nil
	}
	if strings.HasPrefix(e.object, "upcoming_") {
		return event{id: e.id, created: e.created, live: e.live}, nil // a preview
	}
	if !isID(e.object, prefix) {
		return event{}, fmt.Errorf("event is of %.50q, which is no id", e.object)
	}
	return e, nil
}
