package plan

import (
	"fmt"
	"time"
)

// DayMS is how many milliseconds a day has: days are those of UTC, which all have as many.
const DayMS = 86_400_000

// Day is a day, in days since 1970-01-01 in UTC.
type Day int64

// DayOf is the day that a time is in.
func DayOf(t time.Time) Day {
	s := t.Unix()
	d := s / 86_400
	if s%86_400 < 0 {
		d--
	}
	return Day(d)
}

// ParseDay reads a day, as "2026-12-01".
func ParseDay(text string) (Day, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fmt.Errorf(`%.30q is not a day: write it as "2026-12-01"`, text)
	}
	return DayOf(t), nil
}

// Time is when the day begins.
func (d Day) Time() time.Time { return time.Unix(int64(d)*86_400, 0).UTC() }

// String writes it as "2026-12-01".
func (d Day) String() string { return d.Time().Format(time.DateOnly) }

// MarshalText writes it as String does.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads it as ParseDay does.
func (d *Day) UnmarshalText(text []byte) error {
	got, err := ParseDay(string(text))
	if err != nil {
		return err
	}
	*d = got
	return nil
}

// Month is a month of the calendar, in UTC: what an invoice is for.
type Month struct {
	Year  int
	Month time.Month
}

// MonthOf is the month that a day is in.
func MonthOf(d Day) Month {
	t := d.Time()
	return Month{t.Year(), t.Month()}
}

// First is its first day.
func (m Month) First() Day { return DayOf(time.Date(m.Year, m.Month, 1, 0, 0, 0, 0, time.UTC)) }

// Next is the month after it.
func (m Month) Next() Month { return MonthOf(m.First() + Day(m.Days())) }

// Days is how many days it has.
func (m Month) Days() int { return time.Date(m.Year, m.Month+1, 0, 0, 0, 0, 0, time.UTC).Day() }

// end is the first day after it.
func (m Month) end() Day { return m.First() + Day(m.Days()) }

// String writes it as "2026-12".
func (m Month) String() string { return m.First().Time().Format("2006-01") }

// ParseMonth reads a month, as "2026-12".
func ParseMonth(text string) (Month, error) {
	t, err := time.Parse("2006-01", text)
	if err != nil {
		return Month{}, fmt.Errorf(`%.30q is not a month: write it as "2026-12"`, text)
	}
	return Month{t.Year(), t.Month()}, nil
}

// MarshalText writes it as String does.
func (m Month) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads it as ParseMonth does.
func (m *Month) UnmarshalText(text []byte) error {
	got, err := ParseMonth(string(text))
	if err != nil {
		return err
	}
	*m = got
	return nil
}
