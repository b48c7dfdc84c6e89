package money

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// amountJSON is how an amount is written in JSON: {"amount": "5.00", "currency": "USD"}.
type amountJSON struct {
	Amount   json.RawMessage `json:"amount"`
	Currency string          `json:"currency"`
}

// MarshalJSON writes the amount as a text, with at least the digits of its currency.
func (a Amount) MarshalJSON() ([]byte, error) {
	if a.currency == (Currency{}) {
		return nil, errors.New("an amount has no currency")
	}
	text, err := json.Marshal(a.Text())
	if err != nil {
		return nil, err
	}
	return json.Marshal(amountJSON{text, a.currency.code})
}

// UnmarshalJSON reads what MarshalJSON writes. An amount that is a number is refused:
// somebody before us may have made a float of it.
func (a *Amount) UnmarshalJSON(text []byte) error {
	var parts amountJSON
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&parts); err != nil {
		return fmt.Errorf(`an amount is {"amount": "5.00", "currency": "USD"}: %w`, err)
	}
	c, err := ByCode(parts.Currency)
	if err != nil {
		return err
	}
	var digits string
	if err := json.Unmarshal(parts.Amount, &digits); err != nil {
		return fmt.Errorf(`the amount %.50s is not a text: write it in quotes, as "5.00", so that nobody makes a float of it`, parts.Amount)
	}
	got, err := Parse(digits, c)
	if err != nil {
		return err
	}
	*a = got
	return nil
}
