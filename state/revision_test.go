package state

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestRevisionTime(t *testing.T) {
	for range 100 {
		id, err := uuid.NewUUID()
		if err != nil {
			t.Fatal(err)
		}
		want := time.Unix(id.Time().UnixTime())
		if got := Revision(id).Time(); !got.Equal(want) {
			t.Fatalf("%s is of %s, got %s", id, want, got)
		}
	}
	// The example of RFC 9562.
	example := Revision(uuid.MustParse("C232AB00-9414-11EC-B3C8-9F6BDECED846"))
	if got, want := example.Time(), time.Date(2022, 2, 22, 19, 22, 22, 0, time.UTC); !got.Equal(want) {
		t.Errorf("got %s, want %s", got.UTC(), want)
	}
	if got := (Revision{}).Time(); !got.IsZero() {
		t.Errorf("the zero revision is of %s", got)
	}
}

// TestRevisionBefore: revisions are in the order of their times, and not of their bytes.
func TestRevisionBefore(t *testing.T) {
	// The fields of the time are written with the lowest bits first.
	early, late := Revision(uuid.MustParse("FFFFFFFF-0000-1000-8000-000000000000")), Revision(uuid.MustParse("00000000-0001-1000-8000-000000000000"))
	if bytes.Compare(early[:], late[:]) < 0 {
		t.Fatal("the bytes are in order: the test shows nothing")
	}
	if !early.Before(late) || late.Before(early) || early.Before(early) {
		t.Errorf("%x is not before %x", early, late)
	}
	if !(Revision{}).Before(early) || early.Before(Revision{}) || (Revision{}).Before(Revision{}) {
		t.Error("the zero revision is not before all others")
	}
}
