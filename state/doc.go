// Package state is the contract of the pinset: what the rest of this project
// may expect of the place where pins are kept, and what an implementation has
// to give. MUST and MAY are meant as in RFC 2119.
//
// # The pinset
//
// A pinset maps CIDs to pins. It is not kept by the peers of a cluster but
// behind a [Store], which many processes use at once.
//
// The key is the whole CID: version, codec and multihash. The CIDv0 and the
// CIDv1 of one block are two pins. The base in which a CID was written as text
// is no part of it. The undefined CID is never in a pinset: Add MUST refuse it
// with an error, and for the other methods it is an ordinary missing CID.
//
// # What comes back
//
// What is stored is the encoding of api.Pin.ProtoMarshal, byte for byte, and
// what Get and List return is what api.Pin.ProtoUnmarshal makes of it, with
// Cid set from the key. Every store therefore loses the same things, and every
// caller sees the pin as upstream's dsstate would return it:
//
//   - UserAllocations are dropped.
//   - Mode is not stored but follows from MaxDepth.
//   - Timestamp and ExpireAt are cut to the second and come back in the local
//     zone. An ExpireAt of zero or of Unix time 0 comes back as zero: never.
//   - Allocations and Origins come back empty rather than nil, Metadata nil
//     rather than empty. The order of Allocations and Origins is kept, and
//     so are duplicates.
//   - A Type of zero comes back as api.BadType.
//
// A pin that came out of a store loses nothing more when it goes in again.
//
// # Reading and writing
//
// Add stores a pin, or replaces the pin of that CID as a whole: nothing of the
// older pin MUST remain. Add does not judge a pin. Whether a type may change
// or an expiry may lie in the past is decided by its callers. It MUST refuse,
// and leave the pinset as it was, only what it could not give back: a pin that
// cannot be encoded (text that is not UTF-8) or whose encoding cannot be
// decoded again (a peer ID that is none). It MAY also refuse a pin whose encoding
// is larger than [MaxPinBytes], with a [TooLargeError]. A larger pin that is stored
// already MUST be readable and removable like any other.
//
// Rm removes a pin. A CID that is not in the pinset is no error.
//
// Get of a CID that is not in the pinset MUST return the zero pin and
// [ErrNotFound] itself. Has MUST agree with Get.
//
// When Add or Rm returns nil, the change is durable and every later read
// anywhere MUST see it, or a newer one. When they return an error, the change
// MAY have been made. Readers MUST NOT see parts of two pins, nor a gap while
// a pin is replaced, and MUST NOT see an older pin after a newer one. An
// implementation MAY offer weaker reads as a setting; it says so there.
//
// # Listing
//
// List sends every pin to the channel, in no particular order. The channel
// belongs to List from the call on: List MUST close it exactly once, on every
// path, before it returns, and nobody else may close it.
//
// A nil error means that the listing is complete. It MUST hold every pin that
// was in the pinset during the whole call, once. A pin that was added, removed
// or replaced in the meantime MAY be missing, or be there in any version it
// had in that time, but not twice.
//
// A reader MAY stop reading: it cancels the context. List MUST watch the
// context while it sends, and return soon after it ends, with an error that
// matches the error of the context if there was more to send. A row that
// cannot be decoded MUST NOT be skipped: List returns an error that names its
// CID. A listing that silently lacks a pin would look like a pin removed.
//
// # Snapshots
//
// Marshal writes the whole pinset in upstream's format, which is also that of
// a raft snapshot: one msgpack map after another, {"k": key, "v": value},
// without header or trailer and in no particular order. The key is the bytes of
// the CID in upper-case base32 without padding; the value is the stored
// encoding of the pin. An empty pinset is zero bytes. Marshal MUST NOT leave
// out what it cannot decode, but return an error that names the CID.
//
// Unmarshal adds the pins of a snapshot to the pinset. It replaces pins of the
// same CID and removes nothing. Keys MAY begin with "/". Values MUST be stored
// as they are, also in older encodings. Where the CID inside a value differs
// from the key, the key counts. A stream that ends within a record, a key that is not a CID and a
// value that is empty or not a pin MUST be errors; the records before MAY have
// been stored by then. A stream cut between two records cannot be told from a
// whole one: who moves a pinset counts.
//
// Both work without a context. List does the same with one.
//
// Migrate MUST return nil, change nothing and read nothing. Upstream has no
// older format to migrate from, and the tables of a database have versions of
// their own.
//
// # Batches
//
// The writes of a [BatchingStore] (Add, Rm and Unmarshal) wait for Commit.
// Until then nobody MUST see them, not even through the batching store
// itself, whose reads show the committed pinset. Commit writes what was
// queued before it and forgets it: a later Commit MUST NOT write it again.
// Of several writes of one CID the last wins; between CIDs the order is free,
// and a batch is not atomic. Commit of nothing is nil. When Commit returns an
// error, any part of the batch MAY have been written.
//
// # Errors and contexts
//
// Errors name the CID where there is one, and wrap their cause with %w.
// ErrNotFound is the exception: it is returned bare, and only if the CID is
// not in the pinset. A failure to find out, a pin that cannot be decoded and
// a context that ended MUST NOT look like ErrNotFound or like a Has of false.
//
// A pin that cannot be decoded MUST be replaceable by Add and removable by Rm:
// otherwise it would end every List from then on.
//
// A call whose context has ended MAY fail or go through. What it reports MUST
// be true either way.
//
// # Concurrency
//
// All methods of a Store, a BatchingStore, an [Updater] and a [Feed] MUST be
// safe for use by several goroutines at once. Writers that meet at one CID are
// put in some order; that they met is not an error. What was passed in or
// returned belongs to the caller: a store MUST NOT keep or change it.
//
// # Conformance
//
// Package statetest checks this contract. statetest.Run passes on upstream's
// dsstate. statetest.RunStrict has what dsstate leaves undone:
//
//   - Its List waits for ever for a reader that has left.
//   - Its List and Marshal skip or pass on what cannot be decoded.
//   - Its Add accepts the undefined CID, which List then never shows, and pins
//     that Get cannot read back.
//   - Its Unmarshal takes a stream that is cut short for a whole one, and does
//     not look at keys and values.
//   - With a datastore whose batches keep what they have written, as the one
//     in memory does, each Commit repeats all earlier ones.
package state
