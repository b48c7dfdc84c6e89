// Package stripe collects the payment of invoices through Stripe.
//
// An invoice of ours becomes one of Stripe's: a draft, an item for each line, a comparison
// of what Stripe makes of them with what we ask for, and only then a final invoice with a
// page where it can be paid. Nothing is charged by itself.
//
// Promised: of what is asked once, one invoice at most is ever final at Stripe, with our
// lines and our total, wherever a process stops and whatever answers are lost. It holds
// because only the invoice whose id is in the Journal is made final, and the first id
// there stays. Idempotency keys, inv:{number}:{rev}:{step}, and looking for what was made
// before, keep drafts from being made twice, for as long as Stripe knows the keys and
// after.
//
// What an event of Stripe says is taken for nothing but the id of what has changed: its
// state is asked for, so that events may come twice, late, or in any order. Events are
// acknowledged after what they are about is recorded. In the journal, keys that begin with
// evt: are needed for the days in which Stripe sends an event again; all others stay.
//
// Secrets are in files, and in no log and no error.
package stripe
