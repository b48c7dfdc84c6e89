package invoicing

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// movement is a row of movements.
type movement struct {
	rails.Payment
	// named are all numbers that a state of it, or an operator, has named.
	named []string
	// assigned is what an operator has said it is for, with how much that is.
	assigned       string
	assignedAmount *big.Int
	assignedBy     string
	version        *big.Int
}

// number is that of the invoice that it is for, as far as somebody has said.
func (m *movement) number() string {
	if m.assigned != "" {
		return m.assigned
	}
	return m.Invoice
}

// movement reads a movement, and returns nil if there is none.
func (o *Office) movement(ctx context.Context, rail, id string) (*movement, error) {
	m := &movement{Payment: rails.Payment{Rail: rail, ID: id}}
	var kind string
	var block *big.Int
	found, err := o.db.Read(ctx, gocql.Serial, scylla.Bind(selectMovement, rail, id), &m.version, &kind, &m.Invoice, &m.Credit, &m.Amount, &m.Currency.Code, &m.Currency.Digits,
		&m.At, &m.Final, &m.Detail, &block, &m.BlockHash, &m.named, &m.assigned, &m.assignedAmount, &m.assignedBy)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the payment %s of %s: %w", id, rail, err)
	case !found:
		return nil, nil
	case m.version == nil || !m.version.IsUint64() || m.Amount == nil || m.assigned != "" && m.assignedAmount == nil:
		return nil, fmt.Errorf("the payment %s of %s as it is stored: the row is not complete", id, rail)
	}
	m.Kind, m.Version, m.At = rails.Kind(kind), m.version.Uint64(), m.At.UTC()
	if block != nil {
		m.Block = block.Uint64()
	}
	return m, nil
}

// store keeps a state of a movement, unless a later one is there.
func (o *Office) store(ctx context.Context, p rails.Payment) error {
	version, block := new(big.Int).SetUint64(p.Version), new(big.Int).SetUint64(p.Block)
	named := []string{}
	if p.Invoice != "" {
		named = append(named, p.Invoice)
	}
	columns := []any{version, string(p.Kind), p.Invoice, p.Credit, p.Amount, p.Currency.Code, p.Currency.Digits, p.At, p.Final, p.Detail, block, p.BlockHash, named}
	err := o.decide(ctx, scylla.Bind(insertMovement, append([]any{p.Rail, p.ID}, columns...)...))
	if err == nil {
		err = o.decide(ctx, scylla.Bind(updateMovement, append(columns, p.Rail, p.ID, version)...))
	}
	return wrap(err, "recording the payment %s of %s", p.ID, p.Rail)
}

// monthOfTime returns the month of a moment as 202612.
func monthOfTime(t time.Time) int { return t.UTC().Year()*100 + int(t.UTC().Month()) }

// Journal is what rails remember, and where they record payments. It implements rails.Journal.
type Journal struct{ office *Office }

// Journal returns the journal of an Office.
func (o *Office) Journal() *Journal { return &Journal{o} }

// Recall implements rails.Journal.
func (j *Journal) Recall(ctx context.Context, rail, key string) (string, error) {
	var value string
	_, err := j.office.db.Read(ctx, gocql.Serial, scylla.Bind(selectRemembered, rail, key), &value)
	return value, wrap(err, "recalling %s of %s", key, rail)
}

// Remember implements rails.Journal.
func (j *Journal) Remember(ctx context.Context, rail, key, value string) (string, error) {
	if value == "" {
		return "", errors.New("there is nothing to remember")
	}
	if err := j.office.decide(ctx, scylla.Bind(insertRemembered, rail, key, value)); err != nil {
		return "", fmt.Errorf("remembering %s of %s: %w", key, rail, err)
	}
	return j.Recall(ctx, rail, key)
}

// Record implements rails.Journal. What it is of is brought to what it comes to; what fits to nothing
// is put among what somebody has to look at. After an error it is to be recorded again.
func (j *Journal) Record(ctx context.Context, p rails.Payment) error {
	if err := p.Check(); err != nil {
		return err
	}
	o := j.office
	if p.Invoice != "" {
		if err := o.write(ctx, scylla.Bind(insertPayment, p.Invoice, p.Rail, p.ID)); err != nil {
			return fmt.Errorf("noting a payment of %s: %w", p.Invoice, err)
		}
	}
	if err := o.store(ctx, p); err != nil {
		return err
	}
	return o.settle(ctx, p.Rail, p.ID)
}

// Recorded returns what is known of a payment, and false if there is none.
func (j *Journal) Recorded(ctx context.Context, rail, id string) (rails.Payment, bool, error) {
	m, err := j.office.movement(ctx, rail, id)
	if m == nil {
		return rails.Payment{}, false, err
	}
	return m.Payment, true, err
}
