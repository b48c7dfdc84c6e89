package events

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxAttribute bounds each attribute of an event, in bytes. A CID of 500 bytes fits;
// IPFS takes none of more than 150.
const MaxAttribute = 1 << 10

func (d *PinData) key() string        { return "pin/" + d.Cid }
func (d *PinData) version() Version   { return d.Version }
func (d *PinData) subject() string    { return d.Cid }
func (d *PinData) id(_ string) string { return d.Cid + "/" + string(d.Version) }

func (d *PinData) check(t Type) error {
	told, omitted := d.Pin != nil, d.Omitted != ""
	switch {
	case t.removal() && (told || omitted):
		return errors.New("it has a pin that was removed")
	case !t.removal() && told == omitted:
		return errors.New("it has not either a pin or a reason to omit it")
	}
	return firstError(checkName("cid", d.Cid), checkVersion("version", d.Version))
}

func (d *StatusData) key() string      { return "status/" + d.Cid + "/" + d.Peer }
func (d *StatusData) version() Version { return d.At }
func (d *StatusData) subject() string  { return d.Cid }

func (d *StatusData) id(kind string) string {
	return strings.Join([]string{d.Cid, string(d.Version), d.Peer, kind, string(d.At)}, "/")
}

func (d *StatusData) check(Type) error {
	err := firstError(checkName("cid", d.Cid), checkVersion("version", d.Version), checkVersion("at", d.At),
		checkName("peer", d.Peer), checkText("status", d.Status))
	if err == nil && d.Size < 0 {
		err = fmt.Errorf("size is %d", d.Size)
	}
	return err
}

func (d *PeerData) key() string      { return "peer/" + d.Peer }
func (d *PeerData) version() Version { return d.At }
func (d *PeerData) subject() string  { return d.Peer }

func (d *PeerData) id(kind string) string {
	return strings.Join([]string{d.Peer, d.Incarnation, kind, string(d.At)}, "/")
}

func (d *PeerData) check(Type) error {
	return firstError(checkName("peer", d.Peer), checkName("incarnation", d.Incarnation), checkVersion("at", d.At))
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkName looks at a text that is a part of ids, whose parts have slashes between
// them.
func checkName(field, s string) error {
	if strings.Contains(s, "/") {
		return fmt.Errorf("%s has a slash", field)
	}
	return checkText(field, s)
}

// checkText looks at a text that is, or may be, an attribute.
func checkText(field, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%s is missing", field)
	case len(s) > MaxAttribute:
		return fmt.Errorf("%s has %d bytes, more than %d", field, len(s), MaxAttribute)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("%s is not a readable text", field)
	}
	return nil
}

func checkVersion(field string, v Version) error {
	if !v.valid() {
		return fmt.Errorf("%s is not a version", field)
	}
	return nil
}
