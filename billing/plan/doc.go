// Package plan holds price plans, and says what usage costs by them. It is arithmetic on
// what it is given: it knows no table, no owner and no clock.
//
// A Plan is one version of a price list, in YAML (docs/billing-plans.md). Parse reads one,
// and says all that is wrong with it, each with its file and line. NewBook takes all
// versions of all plans, and looks at what is wrong between them. A Schedule says which
// plan applies to an owner on which day.
//
// Rate says what the usage of a month costs: it returns lines, and their sum.
//
// What is promised:
//
//   - Each line is rounded once, by the rule of its plan, from the exact product of a
//     quantity and a price. The total is the sum of the lines, to the smallest unit.
//   - Tiers, quotas and packages are of the month, not of the day. How the usage of a plan
//     is cut into days or stretches does not matter.
//   - The same plan, with other comments or another order of keys, has the same digest.
//     Whatever changes a price changes it.
//   - What is fractional is so in integers: quantities are byte·ms and pin·ms of any
//     size, and no float is in it.
//   - Accrue and Estimate say what Rate would: on the last day what is accrued is the
//     total but for the minimum, and an estimate is the difference of two totals.
//
// What is not promised: that a bill grows with usage. With volume prices it may fall, of
// which Lint warns.
//
// Plans, books and schedules are not changed once they are made, and may be used by any
// number of goroutines at once.
package plan
