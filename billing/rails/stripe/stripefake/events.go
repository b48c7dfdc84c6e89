package stripefake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// event notes that an object has changed, as it is now.
func (f *Fake) event(kind string, o Object) {
	f.serial++
	f.events = append(f.events, Object{
		"id": fmt.Sprintf("evt_%06d", f.serial), "object": "event", "api_version": "2025-08-27.basil", "created": f.now,
		"livemode": false, "type": kind, "pending_webhooks": 1, "data": Object{"object": f.view(o)},
	})
}

// Events returns the bodies of all webhooks since it was asked before, in order.
func (f *Fake) Events() [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out [][]byte
	for _, e := range f.events {
		if body, err := json.Marshal(e); err == nil {
			out = append(out, body)
		}
	}
	f.events = nil
	return out
}

// Sign returns the header that goes with the body of a webhook, signed with a secret at a
// moment. It is written from the documentation, not with Stripe's library.
func Sign(body []byte, secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.", at.Unix())
	mac.Write(body)
	return fmt.Sprintf("t=%d,v1=%s,v0=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)), "6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39")
}
