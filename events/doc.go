// Package events is what this project tells other programs about a pinset: the
// wire types, and nothing that sends or receives them. An Event is a CloudEvent
// 1.0 in the structured mode, as JSON. docs/events.md has an example of each.
//
// What a program that receives events can rely on:
//
//   - An Event tells the whole state of what its Key names, not a difference. A
//     later one makes an earlier one needless: of two with one Key the one
//     with the Newer Version counts, in whatever order they arrive, and steps
//     in between may be missing.
//   - One fact has one ID, however often it is told.
//   - Fields and types are added without notice: a field that is not known is
//     left out by Parse, a type that is not known is ErrUnknown. What is there keeps
//     its name and meaning as long as the type ends in the same version.
//
// Nothing here has state. All functions may be called by any number of
// goroutines at once.
package events
