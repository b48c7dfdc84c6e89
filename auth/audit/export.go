package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Format is how Export writes events.
type Format string

const (
	// JSON is Found, one a line.
	JSON Format = "json"
	// OCSF is the Open Cybersecurity Schema Framework, one event a line: API Activity
	// (6003), and Authentication (3002) for failed attempts. Numbers of classes,
	// activities and statuses are of its schema; that the fields suffice for a
	// given product was not tried.
	OCSF Format = "ocsf"
)

// ocsfVersion is the version of the schema that the fields are of.
const ocsfVersion = "1.3.0"

// Export writes what Search found.
func Export(w io.Writer, found []Found, format Format) error {
	enc := json.NewEncoder(w)
	for _, f := range found {
		var v any = f
		switch format {
		case JSON:
		case OCSF:
			v = toOCSF(f)
		default:
			return fmt.Errorf("%q is no format: %s, %s", format, JSON, OCSF)
		}
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

type ocsfUser struct {
	UID    string `json:"uid,omitempty"`
	Domain string `json:"domain,omitempty"`
}

type ocsfEndpoint struct {
	IP string `json:"ip,omitempty"`
}

type ocsfResource struct {
	UID   string    `json:"uid,omitempty"`
	Type  string    `json:"type,omitempty"`
	Name  string    `json:"name,omitempty"`
	Owner *ocsfUser `json:"owner,omitempty"`
}

// ocsfEvent has the fields of both classes.
type ocsfEvent struct {
	ClassUID    int            `json:"class_uid"`
	CategoryUID int            `json:"category_uid"`
	ActivityID  int            `json:"activity_id"`
	TypeUID     int            `json:"type_uid"`
	SeverityID  int            `json:"severity_id"`
	StatusID    int            `json:"status_id"`
	Status      string         `json:"status_detail,omitempty"`
	Time        int64          `json:"time"`
	Count       int64          `json:"count,omitempty"`
	Metadata    map[string]any `json:"metadata"`
	Actor       map[string]any `json:"actor,omitempty"`
	User        *ocsfUser      `json:"user,omitempty"`
	API         map[string]any `json:"api,omitempty"`
	Source      *ocsfEndpoint  `json:"src_endpoint,omitempty"`
	Request     map[string]any `json:"http_request,omitempty"`
	Response    map[string]any `json:"http_response,omitempty"`
	Resources   []ocsfResource `json:"resources,omitempty"`
	Unmapped    map[string]any `json:"unmapped,omitempty"`
}

func toOCSF(f Found) ocsfEvent {
	e := ocsfEvent{
		SeverityID: 1, // informational
		StatusID:   map[Verdict]int{Success: 1, Failure: 2, Denied: 2, Unknown: 0}[f.Result.Verdict],
		Status:     f.Result.Reason,
		Metadata: map[string]any{
			"version": ocsfVersion,
			"uid":     fmt.Sprintf("%s/%d", f.Writer, f.Seq),
			"product": map[string]any{"name": "pin-gateway", "vendor_name": "ipfs-cluster-scylla"},
		},
	}
	if at, err := time.Parse(time.RFC3339Nano, f.Time); err == nil {
		e.Time = at.UnixMilli()
	}
	if f.ID != "" {
		e.Metadata["correlation_uid"] = f.ID
	}
	if f.Event == nil {
		e.authentication(f)
	} else {
		e.apiActivity(f)
	}
	e.TypeUID = 100*e.ClassUID + e.ActivityID
	return e
}

func (e *ocsfEvent) authentication(f Found) {
	e.ClassUID, e.CategoryUID, e.ActivityID = 3002, 3, 1 // logon
	a := f.Attempts
	if a == nil {
		a = new(Attempts)
	}
	e.Status, e.Count = a.Reason, a.Count
	e.User = &ocsfUser{UID: a.Credential}
	e.Unmapped = map[string]any{"network": a.Network, "method": a.Method, "since": a.Since}
	if a.Count == 1 {
		e.Source = &ocsfEndpoint{a.Network}
	}
}

func (e *ocsfEvent) apiActivity(f Found) {
	event := f.Event
	a, r := event.Actor, event.Resource
	e.ClassUID, e.CategoryUID, e.ActivityID = 6003, 6, ocsfActivity(event.Action)
	e.Actor = map[string]any{"user": ocsfUser{a.Principal, a.Tenant}}
	if a.Issuer != "" || a.Credential != "" {
		e.Actor["session"] = map[string]any{"issuer": a.Issuer, "credential_uid": a.Credential}
	}
	e.API = map[string]any{"operation": event.Action, "request": map[string]any{"uid": event.RequestID}}
	e.Source = &ocsfEndpoint{a.IP}
	e.Request = map[string]any{"http_method": event.HTTP.Method, "user_agent": a.UserAgent, "url": map[string]any{"path": event.HTTP.Route}}
	if f.Result.Status != 0 {
		e.Response = map[string]any{"code": f.Result.Status}
	}
	id := r.ID
	if id == "" {
		id = f.Result.ResourceID
	}
	e.Resources = []ocsfResource{{id, r.Kind, r.Name, &ocsfUser{r.Owner, r.Tenant}}}
	e.Unmapped = map[string]any{
		"cid": r.CID, "method": a.Method, "decision": event.Decision, "traceparent": event.Traceparent,
		"verdict": f.Result.Verdict, "micros": f.Result.Micros,
	}
}

// ocsfActivity is what an action does: create, read, update, delete, or other.
func ocsfActivity(action string) int {
	_, verb, _ := strings.Cut(action, ":")
	switch {
	case strings.HasSuffix(verb, "create"):
		return 1
	case strings.HasSuffix(verb, "read"), strings.HasPrefix(verb, "list"), strings.HasSuffix(verb, "list"):
		return 2
	case strings.HasSuffix(verb, "replace"), strings.HasSuffix(verb, "write"):
		return 3
	case strings.HasSuffix(verb, "delete"), strings.HasSuffix(verb, "revoke"):
		return 4
	}
	return 99
}
