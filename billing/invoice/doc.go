// Package invoice has the documents of billing: invoices, the credit notes that take back
// some of them, and what has become of either. It makes and reads them; it keeps none, gives
// no numbers and asks nobody.
//
//	draft, err := invoice.New(what was used and what that costs, the tax of the buyer's region)
//	issued, err := draft.Issue("2026", "2026-000042", today, due)
//	digest, err := issued.Digest()   // of its canonical JSON, which is what is kept
//	note, err := invoice.Credit(issued, earlier notes, amount, "outage of 3 November")
//
// Promised: amounts are exact, of as many digits as the currency has, and whatever is added up
// ties out to the smallest unit. A document that is made again of the same data has the same
// bytes, and so the same digest. What was issued does not change: corrections are credit notes,
// which together are never more than the invoice, and of which the last takes what is left of
// each line and tax.
//
// A document has the rates of its taxes and how they were rounded, so that it is read and
// checked without a configuration that has changed since. What comes to be after it was issued
// is beside it, in a Copy: payments, ways to pay, credit notes, and from which days and pins a
// line comes.
//
// A Copy is written as HTML, PDF, CSV and JSON, which say the same; a page shows at most 500
// pins of an explanation, and the others in one sum. Texts of owners may be
// anything: a page shows them as text, in place of characters that nobody sees or that turn
// the text around it, it shows "�", and a cell that a spreadsheet would compute has a "'"
// before it. The PDF has "□" for what its font, Go's own, has no glyph for: everything but
// Latin, Greek and Cyrillic.
//
// Not covered: taxes on taxes, prices that contain the tax, and which tax somebody owes. That
// is what configuration says.
package invoice
