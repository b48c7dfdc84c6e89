package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// MaxBytes bounds an encoded event.
const MaxBytes = 512 << 10

var (
	// ErrUnknown says that something is of a type or version that this build does not
	// know. A later build may: keep it.
	ErrUnknown = errors.New("unknown to this build")
	// ErrMalformed says that something is not what it should be, and what is wrong.
	ErrMalformed = errors.New("malformed")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

func unknown(t Type) error { return fmt.Errorf("type %.200q is %w", t, ErrUnknown) }

// envelope is a CloudEvent in the JSON format, with data of type D.
type envelope[D any] struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            Type      `json:"type"`
	Subject         string    `json:"subject"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Traceparent     string    `json:"traceparent,omitempty"`
	Data            D         `json:"data"`
}

const (
	specVersion = "1.0"
	contentType = "application/json"
)

// Encode returns the event as JSON of at most MaxBytes, the same bytes each time. A pin
// that is too large for that, or has a time outside of the years 0 to 9999, is told
// as omitted.
//
// An error matches either ErrUnknown or ErrMalformed and is about this event alone: to
// try it again does not help.
func (e Event) Encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	encoded, err := e.encode(e.fact())
	if err != nil && e.Pin != nil && e.Pin.Pin != nil {
		encoded, err = e.encode(&PinData{Cid: e.Pin.Cid, Version: e.Pin.Version, Omitted: err.Error()})
	}
	if err != nil {
		return nil, malformed("%w", err)
	}
	return encoded, nil
}

// encode returns the event with data d.
func (e Event) encode(d fact) ([]byte, error) {
	return marshal(envelope[fact]{
		SpecVersion: specVersion, ID: e.ID(), Source: e.Source, Type: e.Type, Subject: e.Subject(), Time: e.Time(),
		DataContentType: contentType, Traceparent: e.Traceparent, Data: d,
	})
}

// marshal is json.Marshal that leaves <, > and & as they are, and bounds what it
// returns.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	encoded := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return encoded, checkSize(encoded)
}

func checkSize(encoded []byte) error {
	if len(encoded) > MaxBytes {
		return fmt.Errorf("it has %d bytes, more than %d", len(encoded), MaxBytes)
	}
	return nil
}

// unmarshal is json.Unmarshal of at most MaxBytes.
func unmarshal(encoded []byte, v any) error {
	if err := checkSize(encoded); err != nil {
		return err
	}
	return json.Unmarshal(encoded, v)
}

// Parse returns the event that Encode has encoded. Fields that it does not know are
// left out. An error matches either ErrUnknown or ErrMalformed.
func Parse(encoded []byte) (Event, error) {
	var in envelope[json.RawMessage]
	if err := unmarshal(encoded, &in); err != nil {
		return Event{}, malformed("%w", err)
	}
	switch {
	case in.SpecVersion == "":
		return Event{}, malformed("specversion is missing")
	case in.SpecVersion != specVersion:
		return Event{}, fmt.Errorf("version %.20q of CloudEvents is %w", in.SpecVersion, ErrUnknown)
	case in.Type == "":
		return Event{}, malformed("type is missing")
	}
	e := Event{Source: in.Source, Type: in.Type, Traceparent: in.Traceparent}
	if err := e.parseData(in); err != nil {
		return Event{}, err
	}
	if err := e.check(); err != nil {
		return Event{}, err
	}
	switch {
	case in.ID != e.ID():
		return Event{}, malformed("id is %.200q, and %.200q by its data", in.ID, e.ID())
	case in.Subject != e.Subject():
		return Event{}, malformed("subject is %.200q, and %.200q by its data", in.Subject, e.Subject())
	case !in.Time.Equal(e.Time()):
		return Event{}, malformed("time is %s, and %s by its data", in.Time.Format(time.RFC3339Nano), e.Time().Format(time.RFC3339Nano))
	}
	return e, nil
}

// parseData sets the data that belong to the type.
func (e *Event) parseData(in envelope[json.RawMessage]) error {
	var data any
	switch e.Type.family() {
	case pinFamily:
		e.Pin = new(PinData)
		data = e.Pin
	case statusFamily:
		e.Status = new(StatusData)
		data = e.Status
	case peerFamily:
		e.Peer = new(PeerData)
		data = e.Peer
	case claimFamily:
		e.Claim = new(ClaimData)
		data = e.Claim
	case unknownFamily:
		return unknown(e.Type)
	}
	switch {
	case in.DataContentType != contentType:
		return malformed("datacontenttype is %.200q", in.DataContentType)
	case in.Data == nil:
		return malformed("data is missing")
	}
	if err := json.Unmarshal(in.Data, data); err != nil {
		return malformed("data: %w", err)
	}
	return nil
}

// check says what keeps the event from being told.
func (e Event) check() error {
	f := e.fact()
	switch {
	case e.Type.family() == unknownFamily:
		return unknown(e.Type)
	case f == nil || e.facts() != 1:
		return malformed("%s must have its own data and no other", e.Type)
	}
	_, notURL := url.Parse(e.Source)
	err := firstError(f.check(e.Type), checkText("id", e.ID()), checkText("source", e.Source), notURL)
	if err == nil && e.Traceparent != "" {
		err = checkText("traceparent", e.Traceparent)
	}
	if err != nil {
		return malformed("%w", err)
	}
	return nil
}
