package api

import (
	"math/big"
	"net/http"
	"strconv"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
)

// schedule returns by which plans an owner is billed.
func (a *API) schedule(c *call) (plan.Schedule, error) {
	if a.config.Prices == nil {
		return plan.Schedule{}, missing("there are no prices here: plans.folder and plans.default are not set")
	}
	return a.config.Prices.Schedule(c.Context(), c.owner)
}

// daysOf returns what was used on the days of a month until one, which belongs to them.
func (a *API) daysOf(c *call, m plan.Month, until int64) (out []plan.DayUsage, last Day, err error) {
	err = a.config.Usage.Days(c.Context(), c.owner, int64(m.First()), until, func(d Day) error {
		last = d
		out = append(out, plan.DayUsage{Day: plan.Day(d.Day), Used: plan.Quantities{plan.Storage: d.Usage.ByteMS, plan.Pins: d.Usage.PinMS}})
		return nil
	})
	return out, last, err
}

// accrued answers with what a month has cost until now, day by day.
func (a *API) accrued(w http.ResponseWriter, c *call) error {
	if err := c.known("month"); err != nil {
		return err
	}
	today := plan.Day(a.today())
	month := plan.MonthOf(today)
	if text := c.query.Get("month"); text != "" {
		var err error
		if month, err = plan.ParseMonth(text); err != nil {
			return invalid("%v", err)
		}
	}
	schedule, err := a.schedule(c)
	if err != nil {
		return err
	}
	until := min(month.Next().First()-1, today)
	used, _, err := a.daysOf(c, month, int64(until))
	if err != nil {
		return err
	}
	accrued, err := schedule.Accrue(month, used, until)
	if err != nil {
		return &problem{http.StatusConflict, "NOT_PRICED", "the usage of the month has no price: " + err.Error()}
	}
	if accrued == nil {
		accrued = []plan.Accrual{}
	}
	a.json(w, struct {
		Month plan.Month     `json:"month"`
		Days  []plan.Accrual `json:"days"`
	}{month, accrued})
	return nil
}

// estimate answers with what a pin costs on top of what the owner has.
func (a *API) estimate(w http.ResponseWriter, c *call) error {
	if err := c.known("bytes", "replicas", "days", "from"); err != nil {
		return err
	}
	bytes, ok := new(big.Int).SetString(c.query.Get("bytes"), 10)
	if !ok || bytes.Sign() < 0 || len(c.query.Get("bytes")) > 30 {
		return invalid("bytes %.100q is not a number of bytes: write it as 1048576", c.query.Get("bytes"))
	}
	pin := plan.Pin{Bytes: bytes, Replicas: a.config.Policy.DefaultReplicas, Days: 30}
	for _, n := range []struct {
		name string
		most int
		to   *int
	}{{"replicas", 1000, &pin.Replicas}, {"days", 3660, &pin.Days}} {
		if text := c.query.Get(n.name); text != "" {
			value, err := strconv.Atoi(text)
			if err != nil || value < 1 || value > n.most {
				return invalid("%s %.100q cannot be used: use 1 to %d", n.name, text, n.most)
			}
			*n.to = value
		}
	}
	if a.config.Policy.Replicas == claim.ReplicasSingle {
		pin.Replicas = 1
	}
	today := a.today()
	from, err := c.day("from", today)
	if err != nil {
		return err
	}
	if from < today || from > today+3660 {
		return invalid("from %s is over, or in more than ten years: use today or later", dateOf(from))
	}
	pin.From = plan.Day(from)
	schedule, err := a.schedule(c)
	if err != nil {
		return err
	}
	used, last, err := a.daysOf(c, plan.MonthOf(plan.Day(today)), today)
	if err != nil {
		return err
	}
	now := plan.Standing{Bytes: last.Usage.Closing.Bytes, Pins: last.Usage.Closing.Pins}
	if len(used) > 0 { // today is not over
		now.Days = used[:len(used)-1]
	}
	if plan.MonthOf(pin.From) != plan.MonthOf(plan.Day(today)) {
		now.Days = nil
	}
	estimate, err := schedule.Estimate(now, pin)
	if err != nil {
		return &problem{http.StatusConflict, "NOT_PRICED", "the pin has no price: " + err.Error()}
	}
	a.json(w, estimate)
	return nil
}
