package invoice

import (
	"errors"
	"fmt"
	"time"
)

const (
	dateLayout  = "2006-01-02"
	secondsADay = 86_400
	// maxDate is 9999-12-31, the last day that has four digits.
	maxDate Date = 2_932_896
)

// Date is a day in UTC, as the number of days since 1970-01-01. The zero Date says that there
// is none.
type Date int64

// DateOf returns the day of a moment in UTC.
func DateOf(t time.Time) Date {
	seconds := t.Unix()
	day := seconds / secondsADay
	if seconds%secondsADay < 0 {
		day--
	}
	return Date(day)
}

// time returns the beginning of the day.
func (d Date) time() time.Time { return time.Unix(int64(d)*secondsADay, 0).UTC() }

// String returns the day as 2026-11-30.
func (d Date) String() string { return d.time().Format(dateLayout) }

// MarshalText returns the day as String does.
func (d Date) MarshalText() ([]byte, error) {
	if d <= 0 || d > maxDate {
		return nil, fmt.Errorf("day %d is not one of the years 1970 to 9999", int64(d))
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads a day as String writes it.
func (d *Date) UnmarshalText(text []byte) error {
	t, err := time.Parse(dateLayout, string(text))
	if err != nil {
		return fmt.Errorf("%q is not a day such as 2026-11-30", text)
	}
	read := DateOf(t)
	if read <= 0 {
		return fmt.Errorf("%q is before 1970-01-02", text)
	}
	*d = read
	return nil
}

// Period is a number of whole days in UTC.
type Period struct {
	// From is the first day.
	From Date `json:"from"`
	// To is the day after the last one.
	To Date `json:"to"`
}

// last is the last day.
func (p Period) last() Date { return p.To - 1 }

func (p Period) check() error {
	if p.From <= 0 || p.To > maxDate {
		return errors.New("a period has a first day and a day after the last")
	}
	if p.To <= p.From {
		return fmt.Errorf("a period has no day: it begins on %s and ends before %s", p.From, p.To)
	}
	return nil
}
