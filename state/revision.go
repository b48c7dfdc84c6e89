package state

import "context"

type revisionKey struct{}

// WithRevision returns a context for one write of Updater, which notes in to the revision
// that it has made, before it returns nil. Nothing is noted when nothing was written. A
// store MAY note none.
func WithRevision(ctx context.Context, to *Revision) context.Context {
	return context.WithValue(ctx, revisionKey{}, to)
}

// NoteRevision is for stores: it notes the revision that a write with that context has made.
func NoteRevision(ctx context.Context, rev Revision) {
	if to, ok := ctx.Value(revisionKey{}).(*Revision); ok {
		*to = rev
	}
}
