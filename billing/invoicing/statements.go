package invoicing

// Each of these may be sent again. Plain writes write what nobody else writes differently, or
// delete what is done. Those with a condition make a row that is never changed, or one that has
// another mark, number or version after each change.
const (
	insertPlan  = "INSERT INTO plans (plan, version, effective, doc, digest, made) VALUES (?, ?, ?, ?, ?, ?) IF NOT EXISTS"
	selectPlan  = "SELECT version, doc, digest FROM plans WHERE plan = ?"
	selectPlans = "SELECT plan, version, doc, digest FROM plans"

	updateAssigned = "UPDATE owner_plans SET plan = ?, version = ?, made = ?, made_by = ? WHERE owner = ? AND effective = ? IF plan = ? AND decided = ?"
	updateDecided  = "UPDATE owner_plans SET decided = ? WHERE owner = ? IF decided = ?"
	selectDecided  = "SELECT decided FROM owner_plans WHERE owner = ? LIMIT 1"
	selectAssigned = "SELECT effective, plan, version, made, made_by FROM owner_plans WHERE owner = ?"
	selectOwners   = "SELECT DISTINCT owner FROM owner_plans"

	rowColumns   = "rev, kind, credits, request, series, want, number, state, currency, total, credited, paid, doc, digest, terms, due, issued, turn, paid_turn, mark"
	selectRows   = "SELECT " + rowColumns + " FROM invoices WHERE owner = ? AND period = ?"
	selectRow    = selectRows + " AND rev = ?"
	selectMonths = "SELECT period, " + rowColumns + " FROM invoices WHERE owner = ?"
	insertDraft  = "INSERT INTO invoices (owner, period, rev, kind, credits, request, series, state, currency, total, credited, paid, doc, digest, terms, turn, mark) " +
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"
	updateWant   = "UPDATE invoices SET want = ? WHERE owner = ? AND period = ? AND rev = ? IF state = ? AND want = ?"
	updateIssued = "UPDATE invoices SET state = ?, number = ?, doc = ?, digest = ?, due = ?, issued = ?, turn = ?, mark = ? " +
		"WHERE owner = ? AND period = ? AND rev = ? IF state = ? AND want = ?"
	updateDropped  = "UPDATE invoices SET state = ?, mark = ? WHERE owner = ? AND period = ? AND rev = ? IF state = ? AND want = ?"
	updateStanding = "UPDATE invoices SET state = ?, credited = ?, paid = ?, turn = ?, paid_turn = ?, mark = ? WHERE owner = ? AND period = ? AND rev = ? IF mark = ?"

	insertNumber   = "INSERT INTO numbers (series, block, number, owner, period, rev, taken) VALUES (?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"
	selectNumber   = "SELECT owner, period, rev, taken FROM numbers WHERE series = ? AND block = ? AND number = ?"
	selectTop      = "SELECT number FROM numbers WHERE series = ? AND block = ? LIMIT 1"
	selectNumbers  = "SELECT number, owner, period, rev FROM numbers WHERE series = ? AND block = ?"
	insertNewest   = "INSERT INTO series (series, newest) VALUES (?, ?) USING TIMESTAMP ?"
	selectNewest   = "SELECT newest FROM series WHERE series = ?"
	insertByNumber = "INSERT INTO invoice_by_number (number, owner, period, rev) VALUES (?, ?, ?, ?)"
	selectByNumber = "SELECT owner, period, rev FROM invoice_by_number WHERE number = ?"

	movementColumns = "version, kind, invoice, credit, amount, currency, digits, at, final, detail, block, block_hash"
	insertMovement  = "INSERT INTO movements (rail, id, " + movementColumns + ", named) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"
	updateMovement  = "UPDATE movements SET version = ?, kind = ?, invoice = ?, credit = ?, amount = ?, currency = ?, digits = ?, at = ?, final = ?, detail = ?, " +
		"block = ?, block_hash = ?, named = named + ? WHERE rail = ? AND id = ? IF version < ?"
	updateMatch = "UPDATE movements SET assigned = ?, assigned_amount = ?, assigned_by = ?, named = named + ? WHERE rail = ? AND id = ? IF version = ? AND assigned = ?"

	selectMovement = "SELECT " + movementColumns + ", named, assigned, assigned_amount, assigned_by FROM movements WHERE rail = ? AND id = ?"
	insertPayment  = "INSERT INTO payments (invoice, rail, id) VALUES (?, ?, ?)"
	selectPayments = "SELECT rail, id FROM payments WHERE invoice = ?"

	updateUnmatched = "UPDATE unmatched SET why = ? WHERE rail = ? AND month = ? AND id = ?"
	updateResolved  = "UPDATE unmatched SET resolved = ? WHERE rail = ? AND month = ? AND id = ?"
	selectUnmatched = "SELECT id, why, resolved FROM unmatched WHERE rail = ? AND month = ?"

	insertRemembered = "INSERT INTO remembered (rail, key, value) VALUES (?, ?, ?) IF NOT EXISTS"
	selectRemembered = "SELECT value FROM remembered WHERE rail = ? AND key = ?"

	insertSlot  = "INSERT INTO billing_slots (shard, slot) VALUES (?, ?)"
	deleteSlot  = "DELETE FROM billing_slots WHERE shard = ? AND slot = ?"
	selectSlots = "SELECT slot FROM billing_slots WHERE shard = ? AND slot <= ?"
	insertEvent = "INSERT INTO billing_events (shard, slot, id, owner, period, rev, type, turn, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
	deleteEvent = "DELETE FROM billing_events WHERE shard = ? AND slot = ? AND id = ?"

	selectEvents = "SELECT id, owner, period, rev, type, turn, body FROM billing_events WHERE shard = ? AND slot = ?"
	insertTold   = "INSERT INTO billing_told (id) VALUES (?)"
	selectTold   = "SELECT id FROM billing_told WHERE id = ?"

	insertRun  = "INSERT INTO runs (period, after, owners, done, issued, nothing, held, epoch, mark) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"
	updateRun  = "UPDATE runs SET after = ?, owners = ?, done = ?, issued = ?, nothing = ?, held = ?, ended = ?, epoch = ?, mark = ? WHERE period = ? IF mark = ?"
	selectRun  = "SELECT after, owners, done, issued, nothing, held, ended, epoch, mark FROM runs WHERE period = ?"
	insertHeld = "INSERT INTO held (period, shard, owner, why, since) VALUES (?, ?, ?, ?, ?)"
	deleteHeld = "DELETE FROM held WHERE period = ? AND shard = ? AND owner = ?"
	selectHeld = "SELECT owner, why, since FROM held WHERE period = ? AND shard = ?"
)
