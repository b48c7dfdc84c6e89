package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// MaxBytes bounds an encoded event.
const MaxBytes = 512 << 10

// maxError bounds StatusData.Error, in bytes.
const maxError = 4 << 10

var (
	// ErrUnknown says that an event is of a type or of a version that this build does
	// not know: keep it for a later one.
	ErrUnknown = errors.New("the event is unknown to this version")
	// ErrMalformed says that something is not an event, and why.
	ErrMalformed = errors.New("malformed event")
)

// envelope is a CloudEvent in the JSON format.
type envelope struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            Type            `json:"type"`
	Subject         string          `json:"subject"`
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	Traceparent     string          `json:"traceparent,omitempty"`
	Data            json.RawMessage `json:"data"`
}

const (
	specVersion = "1.0"
	contentType = "application/json"
)

// Encode returns the event as JSON, at most MaxBytes. A pin that is too large for
// that, or has a time outside of the years 0 to 9999, is told as omitted, and a long
// error is cut. The same event always gives the same bytes.
//
// An error matches ErrMalformed, or ErrUnknown if the type is unknown, and is about
// this event alone: it is the same however often it is tried.
func (e Event) Encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	switch {
	case e.Pin != nil && e.Pin.Pin != nil:
		encoded, err := e.encode(e.Pin)
		if err == nil {
			return encoded, nil
		}
		return e.encode(&PinData{Cid: e.Pin.Cid, Version: e.Pin.Version, Omitted: err.Error()})
	case e.Status != nil && len(e.Status.Error) > maxError:
		cut := *e.Status
		cut.Error = strings.ToValidUTF8(cut.Error[:maxError], "")
		return e.encode(&cut)
	}
	return e.encode(e.fact())
}

// encode returns the event with data d.
func (e Event) encode(d fact) ([]byte, error) {
	data, err := marshal(d)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	encoded, err := marshal(envelope{
		SpecVersion: specVersion, ID: e.ID(), Source: e.Source, Type: e.Type, Subject: e.Subject(), Time: e.Time(),
		DataContentType: contentType, Traceparent: e.Traceparent, Data: data,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return encoded, checkSize(encoded)
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func checkSize(encoded []byte) error {
	if len(encoded) > MaxBytes {
		return fmt.Errorf("%w: it has %d bytes, more than %d", ErrMalformed, len(encoded), MaxBytes)
	}
	return nil
}

// Parse returns the event that Encode has encoded. Fields that it does not know are
// left out. An error matches either ErrUnknown or ErrMalformed.
func Parse(encoded []byte) (Event, error) {
	if err := checkSize(encoded); err != nil {
		return Event{}, err
	}
	var in envelope
	if err := json.Unmarshal(encoded, &in); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch {
	case in.SpecVersion == "":
		return Event{}, fmt.Errorf("%w: specversion is missing", ErrMalformed)
	case in.SpecVersion != specVersion:
		return Event{}, fmt.Errorf("%w: CloudEvents %.20q", ErrUnknown, in.SpecVersion)
	}
	e := Event{Source: in.Source, Type: in.Type, Traceparent: in.Traceparent}
	data := e.allocate()
	switch {
	case in.Type == "":
		return Event{}, fmt.Errorf("%w: type is missing", ErrMalformed)
	case data == nil:
		return Event{}, fmt.Errorf("%w: type %.200q", ErrUnknown, in.Type)
	case in.DataContentType != "" && in.DataContentType != contentType:
		return Event{}, fmt.Errorf("%w: datacontenttype is %.200q", ErrMalformed, in.DataContentType)
	case len(in.Data) == 0 || string(in.Data) == "null":
		return Event{}, fmt.Errorf("%w: data is missing", ErrMalformed)
	}
	if err := json.Unmarshal(in.Data, data); err != nil {
		return Event{}, fmt.Errorf("%w: data: %w", ErrMalformed, err)
	}
	if err := e.check(); err != nil {
		return Event{}, err
	}
	switch {
	case in.ID != e.ID():
		return Event{}, fmt.Errorf("%w: id is %.200q, and %.200q by its data", ErrMalformed, in.ID, e.ID())
	case in.Subject != e.Subject():
		return Event{}, fmt.Errorf("%w: subject is %.200q, and %.200q by its data", ErrMalformed, in.Subject, e.Subject())
	case !in.Time.Equal(e.Time()):
		return Event{}, fmt.Errorf("%w: time is %s, and %s by its version", ErrMalformed, in.Time, e.Time())
	}
	return e, nil
}

// allocate gives the event the data of its type, empty, and returns them, nil if the
// type is unknown.
func (e *Event) allocate() fact {
	for _, d := range []struct {
		set func()
	}{
		{func() { e.Pin = new(PinData) }}, {func() { e.Status = new(StatusData) }},
		{func() { e.Peer = new(PeerData) }}, {func() { e.Claim = new(ClaimData) }},
	} {
		d.set()
		if f := e.fact(); f != nil {
			return f
		}
		*e = Event{Source: e.Source, Type: e.Type, Traceparent: e.Traceparent}
	}
	return nil
}

// check says what keeps the event from being told.
func (e Event) check() error {
	f := e.fact()
	if f == nil {
		return fmt.Errorf("%w: type %.200q without its data", ErrMalformed, e.Type)
	}
	err := firstError(f.check(e.Type), checkText("source", e.Source), checkText("id", e.ID()))
	if err == nil {
		_, err = url.Parse(e.Source)
	}
	if err == nil && e.Traceparent != "" {
		err = checkText("traceparent", e.Traceparent)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}
