package audit

import (
	"strings"
	"time"
)

// Kind says what a record tells.
type Kind string

const (
	// Intent is of what is about to be done. Its outcome follows, with the same ID.
	Intent Kind = "intent"
	// Outcome is what came of an intent.
	Outcome Kind = "outcome"
	// Done is both at once, of what changes nothing: reads and denials.
	Done Kind = "done"
	// Failed are failed authentications, one or many.
	Failed Kind = "failed"
	// Started is of a writer that begins, for the first time or again. Intents before it that
	// have no outcome get none.
	Started Kind = "started"
	// Sealed is a checkpoint.
	Sealed Kind = "sealed"
)

// Version is that of the form of records.
const Version = 1

// MaxText is to how many bytes a text of a record is cut.
const MaxText = 1024

// maxList is to how many entries a list of a record is cut.
const maxList = 16

// Record is one record. Which of the fields are set depends on Kind. The order in a
// chain is that of Seq; Time is the clock of the writer.
type Record struct {
	Version int    `json:"v"`
	Writer  string `json:"writer"`
	Seq     int64  `json:"seq"`
	// Time is in UTC with nine digits after the second, so that texts sort as times.
	Time string `json:"time"`
	Kind Kind   `json:"kind"`
	// ID is of the event, which intent and outcome share.
	ID string `json:"id,omitempty"`

	Event  *Event  `json:"event,omitempty"`
	Result *Result `json:"result,omitempty"`
	// Attempts is of Failed.
	Attempts *Attempts `json:"attempts,omitempty"`
	// Dropped is of Started, if something was cut off.
	Dropped *Dropped `json:"dropped,omitempty"`
	// Checkpoint is of Sealed.
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
}

// Event is who asks for what, and what was decided.
type Event struct {
	Actor    Actor    `json:"actor"`
	Action   string   `json:"action"`
	Resource Resource `json:"resource"`
	Decision Decision `json:"decision"`
	HTTP     HTTP     `json:"http"`
	// RequestID is that of the HTTP request.
	RequestID   string `json:"requestId,omitempty"`
	Traceparent string `json:"traceparent,omitempty"`
}

// Actor is who asks.
type Actor struct {
	Principal string `json:"principal,omitempty"`
	Tenant    string `json:"tenant,omitempty"`
	// Method is how the principal showed who it is.
	Method string `json:"method,omitempty"`
	// Credential is the id of an API key or a token, never the credential.
	Credential string `json:"credential,omitempty"`
	Issuer     string `json:"issuer,omitempty"`
	Subject    string `json:"subject,omitempty"`
	IP         string `json:"ip,omitempty"`
	UserAgent  string `json:"userAgent,omitempty"`
	TLS        bool   `json:"tls,omitempty"`
}

// Resource is what it is about.
type Resource struct {
	Kind   string `json:"kind,omitempty"`
	ID     string `json:"id,omitempty"`
	Tenant string `json:"tenant,omitempty"`
	Owner  string `json:"owner,omitempty"`
	CID    string `json:"cid,omitempty"`
	Name   string `json:"name,omitempty"`
}

// Decision is what was decided, by which policies of which version.
type Decision struct {
	Allowed  bool     `json:"allowed"`
	Policies []string `json:"policies,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Version  string   `json:"version,omitempty"`
}

// HTTP is the request as it came. Route is the pattern, without what it was filled with.
type HTTP struct {
	Method string `json:"method,omitempty"`
	Route  string `json:"route,omitempty"`
}

// Verdict is what came of an event.
type Verdict string

// What may come of an event.
const (
	Success Verdict = "success"
	Failure Verdict = "failure"
	Denied  Verdict = "denied"
	// Unknown is of what may have been done or not, as what does it gave no answer. Search says
	// it, too, of an intent without an outcome.
	Unknown Verdict = "unknown"
)

// Result is what came of an event.
type Result struct {
	Verdict Verdict `json:"verdict"`
	// Status is HTTP's.
	Status int `json:"status,omitempty"`
	// Reason is the code that the client was told.
	Reason string `json:"reason,omitempty"`
	// ResourceID is of what was made.
	ResourceID string `json:"resourceId,omitempty"`
	// Micros is how long it took, in microseconds.
	Micros int64 `json:"micros,omitempty"`
}

// Attempts are failed authentications with the same network, method and reason.
type Attempts struct {
	// Network is the client's address, or of many clients their /24 or /64. "" stands for
	// all the networks for which there was no room.
	Network    string `json:"network"`
	Method     string `json:"method,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Credential string `json:"credential,omitempty"`
	Count      int64  `json:"count"`
	// Since is when the first of them was.
	Since string `json:"since,omitempty"`
}

// Dropped is what was cut off at the end of a file: a line that a crash left incomplete.
type Dropped struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// formatTime is the form of times in records.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }

// cut bounds the texts of an event, which come from clients.
func (e *Event) cut() *Event {
	c := *e
	a, r, d, h := &c.Actor, &c.Resource, &c.Decision, &c.HTTP
	d.Policies = d.Policies[:min(len(d.Policies), maxList)]
	cutAll(
		&a.Principal, &a.Tenant, &a.Method, &a.Credential, &a.Issuer, &a.Subject, &a.IP, &a.UserAgent,
		&r.Kind, &r.ID, &r.Tenant, &r.Owner, &r.CID, &r.Name,
		&d.Reason, &d.Version, &h.Method, &h.Route, &c.Action, &c.RequestID, &c.Traceparent,
	)
	if len(d.Policies) > 0 {
		d.Policies = append([]string(nil), d.Policies...)
		for i := range d.Policies {
			cutAll(&d.Policies[i])
		}
	}
	return &c
}

func (r Result) cut() *Result {
	cutAll(&r.Reason, &r.ResourceID)
	return &r
}

// cutAll makes texts short and UTF-8.
func cutAll(texts ...*string) {
	for _, s := range texts {
		*s = strings.ToValidUTF8((*s)[:min(len(*s), MaxText)], "\uFFFD")
	}
}
