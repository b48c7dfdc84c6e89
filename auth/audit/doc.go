// Package audit records who asked for what, what was decided, and what came of it, so
// that a record that was changed later is found.
//
// A mutation has an intent before it is done (Recorder.Begin) and an outcome after
// (Pending.End), with one id. What is only read, or was denied, has one record
// (Recorder.Done). Failed authentications have one each until there are many, then
// counts (Recorder.Failed).
//
// A Sink keeps records. Chain is one: lines of JSON of one writer, durable before Append
// returns. Each line has the hash of the line before it; every so many lines, and every
// so often, the newest hash is signed (Checkpoint), and the signature is copied to where
// whoever owns the lines does not reach. A Log keeps the lines: File is a Chain in files,
// and package audittable has one in a table. They are read as Parts.
//
// What is promised:
//
//   - No mutation without an intent that at least one sink has on disk: if no sink can
//     write, Begin returns an error and nothing may be done.
//   - An intent whose process was killed, or whose outcome could not be written, is
//     found as Unknown. A line that was being written at a crash is cut off at the next
//     start, and that is recorded too; nothing was done of which it would have told.
//   - Verify finds a record that was changed, removed, inserted or moved, also when all
//     later hashes were computed anew; files that were swapped between writers; and,
//     given copies of checkpoints, a chain that was cut or a writer that was removed.
//   - Neither clients nor attackers decide how much is written: texts are cut, failed
//     attempts become counts of a bounded number of networks.
//   - Secrets have no field. The id of a credential is recorded, never the credential.
//
// What an attacker can do: with the files, remove what was recorded after the last
// checkpoint that was copied, and, while the writer does not run, add to it; with the
// files, the signing key and all copies, rewrite everything. With the process killed, counts of failed attempts of up to one window
// are lost.
//
// A Recorder and a File may be used by any number of goroutines at once.
package audit
