package stripe

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/stripe/stripefake"
)

// FuzzEvent shows that what is taken from an event can be asked for: its ids are ids.
func FuzzEvent(f *testing.F) {
	for _, seed := range []string{
		`{"id":"evt_1","object":"event","type":"invoice.paid","created":1764500000,"livemode":true,"data":{"object":{"id":"in_1","object":"invoice"}}}`,
		`{"id":"evt_1","object":"event","type":"invoice_payment.paid","created":1,"data":{"object":{"id":"inpay_1","object":"invoice_payment","invoice":"in_1"}}}`,
		`{"id":"evt_1","object":"event","type":"invoice_payment.paid","created":1,"data":{"object":{"id":"inpay_1","object":"invoice_payment","invoice":{"id":"in_1"}}}}`,
		`{"id":"evt_1","object":"event","type":"refund.updated","created":1,"data":{"object":{"id":"pyr_1","object":"refund"}}}`,
		`{"id":"evt_1","object":"event","type":"charge.dispute.closed","created":1,"data":{"object":{"id":"du_1","object":"dispute"}}}`,
		`{"id":"evt_1","object":"event","type":"invoice.upcoming","created":1,"data":{"object":{"id":"upcoming_in_1","object":"invoice"}}}`,
		`{"id":"evt_1","object":"event","type":"customer.created","created":1,"data":{"object":{"id":"cus_1","object":"customer"}}}`,
		`{"id":"evt_../","object":"event","type":"x","created":-1,"data":null}`,
		`{"id":"evt_1","object":"event","type":"refund.updated","created":1,"data":{"object":{"id":"_","object":"refund"}}}`,
		"null", "{}", "[]", "\xff", `{"data":{"object":[]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := parseEvent(body)
		if err != nil {
			if e != (event{}) {
				t.Errorf("beside an error it has %+v", e)
			}
			return
		}
		if !isID(e.id, "evt_") || e.created.IsZero() || e.created.Year() > 40_000 {
			t.Errorf("it has %+v", e)
		}
		prefix, rest, _ := strings.Cut(e.object, "_")
		switch e.kind {
		case ofNothing:
			if e.object != "" {
				t.Errorf("it is of nothing, and has %q", e.object)
			}
		case ofInvoice:
			if prefix != "in" || rest == "" {
				t.Errorf("it is of the invoice %q", e.object)
			}
		case ofRefund, ofDispute:
			if prefix == "" || rest == "" || strings.ContainsAny(e.object, "/?#%. ") {
				t.Errorf("it is of %q", e.object)
			}
		}
	})
}

// FuzzSignature shows that no header passes which was not made with the secret.
func FuzzSignature(f *testing.F) {
	body := []byte(`{"id":"evt_1","object":"event","type":"customer.created","created":1}`)
	for _, seed := range []string{
		"", "t=1,v1=", "t=9999999999,v1=00", "v1=00,t=9999999999", "t=1,t=9999999999,v1=,v1=ab", stripefake.Sign(body, oldHook, time.Now()), stripefake.Sign(body, newHook, time.Unix(0, 0)), "t=-1,v1=é",
	} {
		f.Add(seed)
	}
	h := &webhooks{secrets: []string{newHook}, collector: new(Collector)}
	f.Fuzz(func(t *testing.T, header string) {
		if got := deliverSigned(h, body, strings.ToValidUTF8(header, "")); got.Code != http.StatusBadRequest {
			t.Errorf("%q passes with %d", header, got.Code)
		}
	})
}
