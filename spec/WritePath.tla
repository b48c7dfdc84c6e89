------------------------------ MODULE WritePath ------------------------------
(* How one CID is written, and how those who hold it learn of that: intents,  *)
(* one conditional update, unknown outcomes, fences, settling, the marker of  *)
(* an unpin that runs out, and the cursor. README.md beside this file says    *)
(* what is left out, and how to read a counterexample.                        *)
(*                                                                            *)
(* Paxos is one atomic register: a conditional update that was sent takes     *)
(* effect at one moment, at any later time, or never; whether its writer      *)
(* hears of that is another matter. There are no clocks. What the clocks are  *)
(* for stands in the guards of three actions:                                 *)
(*  - a row of a feed that its writer counts as appended was there before its *)
(*    reader looked for the last time (write deadline, clock bound, window);  *)
(*  - whoever read the row before an unpin is stale half of unpin_grace after *)
(*    it, and what was sent before that has arrived when the rest has passed; *)
(*  - with Slow > 0, time goes in ticks: how long a holder waits before it    *)
(*    fences, beside how long a writer takes.                                 *)
(* Revisions are numbered in the order in which they are chosen. They are     *)
(* compared only if one of them was the row's when the other was chosen, or   *)
(* if a marker ran out in between, which takes longer than clocks differ.     *)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Writers, Holders,   \* processes that write, peers that may hold the CID
    Watched,            \* those of Holders of whom more is modelled than fences: one
                        \* is as good as all, as they only meet in the row
    MayCrash,           \* which of them crash
    Once,               \* whether each crashes once at most, or again and again
    MaxPins,            \* how many holders a pin has at most
    Tries,              \* revisions up to this one may be chosen by writers
    Revs,               \* and up to this one by fences
    RunOuts,            \* how many markers run out
    Slow,               \* ticks that one try of a write may take; 0: no time
    Patience,           \* ticks for which a holder waits before its first fence
    Mistake             \* "none", or the name of what is done wrongly

VARIABLES
    row,        \* the row of pins: rev, prev, and who holds the pin, {} for nobody
    newest,     \* the newest revision that was ever in row
    truth,      \* what the last write that was applied has made of the pin
    ran,        \* how many markers have run out
    net,        \* conditional updates under way that can still be applied
    ops,        \* calls that run, or of which a conditional update is under way
    writer,     \* what each writer is doing
    feed,       \* the rows of each holder's feed that its cursor has not passed
    has,        \* whether the IPFS daemon of a holder has the content pinned
    job,        \* what a holder has read, and is acting on
    top,        \* the newest revision that was chosen
    crashed,    \* who has crashed
    level,      \* what a holder knows of writes that came to nothing: how many in
                \* sequence, and which revision the last of them was to replace
    lost        \* how often the call that runs has lost to another write

vars == <<row, newest, truth, ran, net, ops, writer, feed, has, job, top, crashed, level, lost>>

Absent == [rev |-> 0, prev |-> 0, pin |-> {}]
Idle   == [pc |-> "idle", op |-> 0, rev |-> 0, old |-> 0, pin |-> {}, left |-> {}, stale |-> FALSE, spent |-> 0]
NoJob  == [on |-> FALSE, want |-> FALSE, of |-> {}]
NoLoss == [n |-> 0, of |-> 0]

\* For how many losses patience is doubled at most.
MostDoublings == 4

Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b

\* A row of a feed. That of a fence, whose revision no writer has, has rev 0.
Change == [rev : 0..Revs, prev : 0..Revs, there : BOOLEAN, done : BOOLEAN, age : 0..Slow]
Update == [by : Writers \cup Holders, op : 0..Revs, rev : 0..Revs, old : 0..Revs, pin : SUBSET Holders]
Call   == [id : 1..Revs, fate : {"running", "acknowledged", "nothing", "refused", "unknown"}, times : 0..3]

TypeOK ==
    /\ row \in [rev : 0..Revs, prev : 0..Revs, pin : SUBSET Holders]
    /\ newest \in 0..Revs /\ top \in 0..Revs /\ ran \in 0..RunOuts
    /\ truth \in SUBSET Holders
    /\ net \subseteq Update /\ ops \subseteq Call
    /\ writer \in [Writers -> [pc : {"idle", "append", "wait", "ask"}, op : 0..Revs, rev : 0..Revs, old : 0..Revs,
                               pin : SUBSET Holders, left : SUBSET Watched, stale : BOOLEAN, spent : 0..Slow]]
    /\ \A h \in Watched : feed[h] \subseteq Change
    /\ has \in [Watched -> BOOLEAN]
    /\ job \in [Watched -> [on : BOOLEAN, want : BOOLEAN, of : SUBSET ((0..Revs) \X (0..Revs))]]
    /\ crashed \subseteq MayCrash /\ level \in [Watched -> [n : 0..MostDoublings, of : 0..Revs]] /\ lost \in 0..Tries

Init ==
    /\ row = Absent /\ newest = 0 /\ truth = {} /\ ran = 0
    /\ net = {} /\ ops = {} /\ writer = [w \in Writers |-> Idle]
    /\ feed = [h \in Watched |-> {}] /\ has = [h \in Watched |-> FALSE] /\ job = [h \in Watched |-> NoJob]
    /\ top = 0 /\ crashed = {} /\ level = [h \in Watched |-> NoLoss] /\ lost = 0

------------------------------------------------------------------------------
(* Calls and what becomes of them.                                            *)

\* A call is right as long as its write was applied once at most, was if that
\* was said, and was not if the opposite was said.
Right(o) ==
    /\ o.times <= 1
    /\ o.fate = "acknowledged" => o.times = 1
    /\ o.fate \in {"nothing", "refused"} => o.times = 0

\* Calls that have ended are forgotten once nothing can be applied of them any
\* more, unless something went wrong.
Known(os, n) == {o \in os : o.fate = "running" \/ ~Right(o) \/ \E q \in n : q.op = o.id}

Fate(os, id, fate) == {IF o.id = id THEN [o EXCEPT !.fate = fate] ELSE o : o \in os}
Count(os, id)      == {IF o.id = id THEN [o EXCEPT !.times = @ + 1] ELSE o : o \in os}

Pins == {pin \in SUBSET Holders : Cardinality(pin) <= MaxPins}

End(w, fate) ==
    /\ writer' = [writer EXCEPT ![w] = Idle]
    /\ ops' = Known(Fate(ops, writer[w].op, fate), net)
    /\ lost' = 0

\* Who is told of a write: whoever holds the pin before or after it.
Told(old, next) ==
    Watched \cap IF Mistake = "only the new holders are told" /\ next # {} THEN next ELSE old \cup next

\* One try of a call: it decides on the row as it is, chooses a revision, and sends
\* an intent to each feed. Those that are lost or late are sent again, which
\* changes nothing here: they are still under way.
Try(w, op, pin) ==
    /\ top < Tries
    /\ top' = top + 1
    /\ writer' = [writer EXCEPT ![w] = [pc |-> "append", op |-> op, rev |-> top + 1, old |-> row.rev, pin |-> pin,
                                        left |-> Told(row.pin, pin), stale |-> FALSE, spent |-> 0]]
    /\ feed' = [h \in Watched |-> IF h \notin Told(row.pin, pin) THEN feed[h]
                ELSE feed[h] \cup {[rev |-> top + 1, prev |-> row.rev, there |-> FALSE, done |-> FALSE, age |-> 0]}]

\* The row is another one than was asserted: the call decides again on it, or its
\* condition (PutIf), its caller or the bound on conflicts ends it.
Again(w) ==
    LET op == writer[w].op  pin == writer[w].pin IN
    \/ /\ pin = {} /\ row.pin = {}
       /\ End(w, "nothing") /\ UNCHANGED <<feed, top>>
    \/ /\ pin # {} \/ row.pin # {}
       /\ Try(w, op, pin) /\ lost' = (IF Slow > 0 THEN lost + 1 ELSE 0) /\ UNCHANGED ops
    \/ /\ End(w, "refused") /\ UNCHANGED <<feed, top>>

------------------------------------------------------------------------------
(* The writer.                                                                *)

\* code: scyllastate/update.go update
\* code: scyllastate/update.go newWrite
Decide(w, pin) ==
    /\ writer[w].pc = "idle"
    /\ pin # {} \/ row.pin # {}
    /\ Slow > 0 => top = row.rev /\ top <= 1 \* a pin, and another one in its place, are enough for time
    /\ Try(w, top + 1, pin)
    /\ ops' = ops \cup {[id |-> top + 1, fate |-> "running", times |-> 0]}
    /\ UNCHANGED <<row, newest, truth, ran, net, has, job, crashed, level, lost>>

\* A row of a feed is there, and its writer, if it still waits, counts it. One that
\* comes when its reader has looked for the last time is appended again, which is the
\* same as if it were still under way; the mistake is to count it.
\* code: scyllastate/intents.go append
\* code: scyllastate/intents.go write
Land(h) ==
    /\ \E c \in feed[h], late \in IF Mistake = "a late append counts" THEN BOOLEAN ELSE {FALSE} :
          /\ ~c.there
          /\ feed' = [feed EXCEPT ![h] = (@ \ {c}) \cup IF late THEN {} ELSE {[c EXCEPT !.there = TRUE]}]
          /\ writer' = [w \in Writers |-> IF writer[w].rev = c.rev THEN [writer[w] EXCEPT !.left = @ \ {h}] ELSE writer[w]]
    /\ UNCHANGED <<row, newest, truth, ran, net, ops, has, job, top, crashed, level, lost>>

\* An error before the conditional update is sent: nothing is written but the intents
\* that are there.
\* code: scyllastate/update.go announce
Refuse(w) ==
    /\ writer[w].pc = "append"
    /\ End(w, "refused")
    /\ feed' = [h \in Watched |-> {c \in feed[h] : c.there \/ c.rev # writer[w].rev}]
    /\ UNCHANGED <<row, newest, truth, ran, net, has, job, top, crashed, level>>

Request(w) == [by |-> w, op |-> writer[w].op, rev |-> writer[w].rev, old |-> writer[w].old, pin |-> writer[w].pin]

\* A writer sends its conditional update once all intents are there, unless it has
\* read the row so long ago that the marker of an unpin may have run out since.
\* Then it starts again.
\* code: scyllastate/update.go swap
\* code: scyllastate/update.go stale
Swap(w) ==
    /\ writer[w].pc = "append"
    /\ writer[w].left = {} \/ Mistake = "the update goes before the intents"
    /\ IF writer[w].stale /\ Mistake # "a stale write goes on"
       THEN Again(w) /\ UNCHANGED net
       ELSE /\ net' = IF row.rev = writer[w].old THEN net \cup {Request(w)} ELSE net
            /\ writer' = [writer EXCEPT ![w].pc = "wait"]
            /\ UNCHANGED <<ops, feed, top, lost>>
    /\ UNCHANGED <<row, newest, truth, ran, has, job, crashed, level>>

\* The answer is that the condition did not hold, with the row as it is.
\* code: scyllastate/tables.go condition
NotApplied(w) ==
    /\ writer[w].pc = "wait"
    /\ row.rev # writer[w].old
    /\ Again(w)
    /\ UNCHANGED <<row, newest, truth, ran, net, has, job, crashed, level>>

\* No answer comes. From here on only resolve ends the call.
\* code: scyllastate/update.go resolve
LoseAnswer(w) ==
    /\ writer[w].pc = "wait"
    /\ IF Mistake = "a new revision while the outcome is unknown"
       THEN Again(w)
       ELSE writer' = [writer EXCEPT ![w].pc = "ask"] /\ UNCHANGED <<ops, feed, top, lost>>
    /\ UNCHANGED <<row, newest, truth, ran, net, has, job, crashed, level>>

\* The very same update once more. It is one with the first, if that is under way.
\* code: scyllastate/update.go resolve
Repeat(w) ==
    /\ writer[w].pc = "ask"
    /\ ~writer[w].stale \/ Mistake = "a stale write is repeated"
    /\ row.rev = writer[w].old
    /\ net' = net \cup {Request(w)}
    /\ UNCHANGED <<row, newest, truth, ran, ops, writer, feed, has, job, top, crashed, level, lost>>

\* The row at SERIAL, and what it says of the update.
\* code: scyllastate/update.go resolve
ReadBack(w) ==
    LET s == writer[w] IN
    /\ s.pc = "ask"
    /\ \/ /\ row.rev = s.rev \/ row.prev = s.rev
          /\ ~s.stale
          /\ End(w, "acknowledged") /\ UNCHANGED <<feed, top>>
       \/ /\ row.rev # s.rev /\ row.prev # s.rev /\ row.rev # s.old
          /\ ~s.stale
          /\ IF row.prev = s.old \/ Mistake = "whatever was replaced was not applied"
             THEN Again(w)
             ELSE End(w, "unknown") /\ UNCHANGED <<feed, top>>
    /\ UNCHANGED <<row, newest, truth, ran, net, has, job, crashed, level>>

\* The time to ask is over, or the marker may have run out.
\* code: scyllastate/update.go resolve
GiveUp(w) ==
    /\ writer[w].pc = "ask"
    /\ End(w, "unknown")
    /\ UNCHANGED <<row, newest, truth, ran, net, feed, has, job, top, crashed, level>>

------------------------------------------------------------------------------
(* The database.                                                              *)

\* What an update does to the row, and to those that have asserted the same revision:
\* they never hold again. A fence leaves the pin as it is.
Effect(q) ==
    LET fence == q.op = 0
        rev   == IF fence THEN top + 1 ELSE q.rev
        pin   == IF fence /\ Mistake = "a fence forgets the pin" THEN {} ELSE q.pin
        hears == \E w \in Writers : q.by = w /\ writer[w].rev = q.rev /\ writer[w].pc = "wait"
        late  == Mistake = "an update arrives after the marker"
        left  == IF late THEN {o \in net : o.old = 0 \/ o.old = rev} ELSE {}
        once  == Count(ops, q.op)
    IN
    /\ row.rev = q.old
    /\ fence => top < Revs
    /\ row' = IF Mistake = "an unpin leaves no marker" /\ pin = {} /\ ~fence THEN Absent
              ELSE [rev |-> rev, prev |-> q.old, pin |-> pin]
    /\ newest' = Max(newest, rev)
    /\ truth' = IF fence THEN truth ELSE q.pin
    /\ top' = IF fence THEN top + 1 ELSE top
    /\ net' = left
    /\ IF hears
       THEN /\ writer' = [writer EXCEPT ![q.by] = Idle]
            /\ ops' = Known(Fate(once, q.op, "acknowledged"), left)
            /\ lost' = 0
       ELSE writer' = writer /\ ops' = Known(once, left) /\ lost' = lost
    /\ UNCHANGED <<ran, feed, has, job, crashed, level>>

\* A conditional update takes effect. The writer hears of it unless it has given up
\* waiting. One that is lost is one that stays under way.
\* code: scyllastate/tables.go swap
\* code: scyllastate/tables.go fence
Apply == \E q \in net : Effect(q)

\* unpin_grace has passed since an unpin, and its marker is gone. When half of it had
\* passed, whoever had read the row before the unpin became stale; what was sent before
\* that has arrived in the other half, or never will: net has nothing else.
\* code: scyllastate/tables.go swap
\* code: scyllastate/update.go stale
RunOut ==
    LET before == {w \in Writers : writer[w].pc # "idle" /\ writer[w].old # row.rev} IN
    /\ row.rev # 0 /\ row.pin = {} /\ ran < RunOuts
    /\ row' = Absent /\ ran' = ran + 1
    /\ \E stale \in IF Mistake = "the grace of the remover" THEN SUBSET before ELSE {before} :
          writer' = [w \in Writers |-> IF w \in stale THEN [writer[w] EXCEPT !.stale = TRUE] ELSE writer[w]]
    /\ net' = {q \in net : q.old = 0}
    /\ ops' = Known(ops, net')
    /\ UNCHANGED <<newest, truth, feed, has, job, top, crashed, level, lost>>

------------------------------------------------------------------------------
(* The holder.                                                                *)

\* Whether the writer of a change has written, or cannot any more.
\* code: scyllastate/feed_task.go settle
Settled(c) ==
    \/ IF row.rev = 0 THEN c.prev # 0 ELSE row.rev > c.prev
    \/ Mistake = "acting on a pending change"

Open(h) == {c \in feed[h] : c.there /\ ~c.done}
Key(c)  == <<c.rev, c.prev>>

\* What a holder knows when it has looked at the row. A write has come to nothing if it
\* was to replace what the row has replaced: whoever ended that, all learn of it. A write
\* that got through ends the sequence, a fence does not.
\* code: scyllastate/deadlines.go learn
Learnt(h) ==
    LET known    == level[h]
        fence(c) == c.rev = 0 /\ c.prev = row.prev /\ Settled(c)
        through  == \E c \in Open(h) :
                       \/ c.rev # 0 /\ c.rev = row.rev
                       \/ Mistake = "a fence counts as a write" /\ fence(c)
        nothing  == \E c \in Open(h) : c.rev # 0 /\ c.prev = row.prev /\ Settled(c)
    IN CASE Slow = 0 \/ row.rev = 0 -> known
         [] through                 -> NoLoss
         [] nothing /\ (known.n = 0 \/ row.prev > known.of) /\ Mistake # "only who fences learns"
                                    -> [n |-> Min(known.n + 1, MostDoublings), of |-> row.prev]
         [] OTHER                   -> known

\* A holder reads the row, and begins to act on it for all changes that are settled.
\* code: scyllastate/feed_task.go act
Look(h) ==
    /\ ~job[h].on
    /\ \E c \in Open(h) : Settled(c)
    /\ job' = [job EXCEPT ![h] = [on |-> TRUE, want |-> h \in row.pin, of |-> {Key(c) : c \in {d \in Open(h) : Settled(d)}}]]
    /\ level' = [level EXCEPT ![h] = Learnt(h)]
    /\ UNCHANGED <<row, newest, truth, ran, net, ops, writer, feed, has, top, crashed, lost>>

\* Its IPFS daemon has done what the row asked for when it was read. A change that is
\* done stays in the feed for a process that begins at the cursor; without one it is
\* as good as passed.
\* code: scyllastate/feed_task.go finish
Finish(h) ==
    LET all  == Mistake = "what came meanwhile is done"
        mine == {c \in feed[h] : c.there /\ (Key(c) \in job[h].of \/ all)}
    IN
    /\ job[h].on
    /\ has' = [has EXCEPT ![h] = job[h].want]
    /\ feed' = [feed EXCEPT ![h] = (@ \ mine) \cup IF h \in MayCrash \ crashed THEN {[c EXCEPT !.done = TRUE] : c \in mine} ELSE {}]
    /\ job' = [job EXCEPT ![h] = NoJob]
    /\ UNCHANGED <<row, newest, truth, ran, net, ops, writer, top, crashed, level, lost>>

\* How long changes are open before a holder fences: no shorter than their writers may
\* take for an append and clocks may differ, and twice as long after each write that came
\* to nothing.
\* code: scyllastate/deadlines.go wait
Wait(h) ==
    CASE Mistake = "fence at once"          -> 0
      [] Mistake = "patience does not grow" -> Patience
      [] OTHER                              -> Patience * 2 ^ Learnt(h).n

\* A fence: a conditional update that gives the row another revision and leaves the pin
\* alone, so that the update of a writer fails. The holders of the pin are told before.
\* code: scyllastate/fence.go fence
\* code: scyllastate/fence.go tellHolders
SendFence(h) ==
    /\ top < Revs
    /\ \A q \in net : q.by # h
    /\ net' = net \cup {[by |-> h, op |-> 0, rev |-> 0, old |-> row.rev, pin |-> row.pin]}
    /\ feed' = [p \in Watched |-> IF p \notin row.pin THEN feed[p]
                ELSE feed[p] \cup {[rev |-> 0, prev |-> row.rev, there |-> TRUE, done |-> FALSE, age |-> 0]}]

\* A holder fences when changes have stayed open for long, also the last of them. It has
\* looked at the row several times meanwhile.
\* code: scyllastate/feed_task.go act
\* code: scyllastate/deadlines.go ended
Fence(h) ==
    LET pending == {c \in Open(h) : ~Settled(c)} IN
    /\ ~job[h].on
    /\ Mistake # "nobody fences"
    /\ pending # {} /\ \A c \in pending : c.age >= Wait(h)
    /\ IF Mistake = "a wait decides"
       THEN /\ feed' = [feed EXCEPT ![h] = {IF c \in Open(h) THEN [c EXCEPT !.done = TRUE] ELSE c : c \in @}]
            /\ UNCHANGED <<net, level>>
       ELSE /\ SendFence(h)
            /\ level' = [level EXCEPT ![h] = IF Mistake = "only who fences learns" THEN [@ EXCEPT !.n = Min(@ + 1, MostDoublings)]
                                             ELSE Learnt(h)]
    /\ UNCHANGED <<row, newest, truth, ran, ops, writer, has, job, top, crashed, lost>>

\* A holder that is not watched fences at any moment. That is more than any does, and it
\* is the one way in which a holder changes anything for a writer or another holder.
\* code: scyllastate/fence.go fence
FenceOfOther(h) ==
    /\ SendFence(h)
    /\ UNCHANGED <<row, newest, truth, ran, ops, writer, has, job, top, crashed, level, lost>>

------------------------------------------------------------------------------
(* What else happens.                                                         *)

Crash(p) ==
    /\ p \in MayCrash \ crashed
    /\ crashed' = IF Once THEN crashed \cup {p} ELSE crashed

\* A writer crashes: nobody hears of its call, and what it has sent may arrive. The next
\* process goes on as a writer like any other.
\* world: a crash
CrashWriter(w) ==
    /\ Crash(w)
    /\ writer[w].pc # "idle"
    /\ End(w, "unknown")
    /\ UNCHANGED <<row, newest, truth, ran, net, feed, has, job, top, level>>

\* What the stored cursor may have passed. Only the next process reads it, so it matters
\* when one begins. It passes changes in the order of their times, which only keeps it
\* back.
\* code: scyllastate/feed_tail.go position
\* code: scyllastate/feed.go save
Passed(h) ==
    LET done == {c \in feed[h] : c.done}
        more == IF Mistake = "the cursor passes an open change" /\ done # {} THEN Open(h) ELSE {}
    IN SUBSET (done \cup more)

\* A holder crashes. The next process begins at the stored cursor.
\* world: a crash
CrashHolder(h) ==
    /\ Crash(h)
    /\ feed[h] # {}
    /\ \E passed \in Passed(h) :
          feed' = [feed EXCEPT ![h] = {[c EXCEPT !.done = FALSE, !.age = 0] : c \in @ \ passed}]
    /\ job' = [job EXCEPT ![h] = NoJob]
    /\ level' = [level EXCEPT ![h] = NoLoss]
    /\ UNCHANGED <<row, newest, truth, ran, net, ops, writer, has, top, lost>>

\* Time passes. No try of a write takes longer than Slow.
\* world: time
Tick ==
    /\ Slow > 0
    /\ \A w \in Writers : writer[w].pc # "idle" => writer[w].spent < Slow
    /\ writer' = [w \in Writers |-> IF writer[w].pc = "idle" THEN writer[w] ELSE [writer[w] EXCEPT !.spent = @ + 1]]
    /\ feed' = [h \in Watched |-> {IF c \in Open(h) THEN [c EXCEPT !.age = Min(@ + 1, Slow)] ELSE c : c \in feed[h]}]
    /\ level' = [h \in Watched |-> Learnt(h)]
    /\ UNCHANGED <<row, newest, truth, ran, net, ops, has, job, top, crashed, lost>>

Next ==
    \/ \E w \in Writers, pin \in Pins : Decide(w, pin)
    \/ \E h \in Watched : Land(h)
    \/ \E w \in Writers : Refuse(w)
    \/ \E w \in Writers : Swap(w)
    \/ \E w \in Writers : NotApplied(w)
    \/ \E w \in Writers : LoseAnswer(w)
    \/ \E w \in Writers : Repeat(w)
    \/ \E w \in Writers : ReadBack(w)
    \/ \E w \in Writers : GiveUp(w)
    \/ Apply
    \/ RunOut
    \/ \E h \in Watched : Look(h)
    \/ \E h \in Watched : Finish(h)
    \/ \E h \in Watched : Fence(h)
    \/ \E h \in Holders \ Watched : FenceOfOther(h)
    \/ \E w \in Writers : CrashWriter(w)
    \/ \E h \in Watched : CrashHolder(h)
    \/ Tick

Spec == Init /\ [][Next]_vars

\* What is done in the end if nothing stops it: by holders, by a writer for itself.
Fairness ==
    /\ \A h \in Watched :
          /\ WF_vars(Look(h)) /\ WF_vars(Finish(h)) /\ WF_vars(Fence(h))
          /\ WF_vars(\E q \in net : q.by = h /\ Effect(q))
    /\ \A w \in Writers :
          /\ WF_vars(Refuse(w)) /\ WF_vars(Swap(w)) /\ WF_vars(NotApplied(w)) /\ WF_vars(LoseAnswer(w)) /\ WF_vars(GiveUp(w))

LiveSpec == Spec /\ Fairness

Symmetry == Permutations(Writers) \cup Permutations(Watched) \cup Permutations(Holders \ Watched)

------------------------------------------------------------------------------
(* The promises, by their numbers in DESIGN §1.                               *)

\* 1. An acknowledged pin is durable and linearizable per CID: the pin is what the
\* last write made it that was applied, whatever readers and time have done to its
\* row; each call is applied once at most, between its beginning and its answer, and
\* what a caller was told of it is true.
Durable == row.pin = truth
CallsAreRight == \A o \in ops : Right(o)

\* Peers compare revisions: one that goes back is not seen.
RevisionsGrow == row.rev \in {0, newest}

\* 4. No acknowledged pin or unpin is ever forgotten by the peers that must act: one
\* whose IPFS daemon is not as the row says has a change in its feed that its process
\* has not acted on, that its cursor has not passed, and that is settled, so that it
\* will act.
NothingIsForgotten ==
    \A h \in Watched : has[h] # (h \in row.pin) => \E c \in Open(h) : Settled(c)

\* 4, as it is meant: it acts.
EveryChangeIsActedOn ==
    \A h \in Watched : has[h] # (h \in row.pin) ~> has[h] = (h \in row.pin)

\* A writer that has stopped or died holds up no cursor for ever.
NoChangeStaysOpen ==
    \A h \in Watched : Open(h) # {} ~> Open(h) = {}

\* Every call ends: applied, refused, or with an error.
EveryCallEnds ==
    \A w \in Writers : writer[w].pc # "idle" ~> writer[w].pc = "idle"

\* No bound stops a fence, in the configurations for what must happen in the end.
RevisionsSuffice == top < Revs

\* A slow writer is not starved: it is fenced once for each doubling of the patience of
\* holders that is not longer than a try, and again if one of them forgets. A writer that
\* is faster than the first patience is never fenced.
Doublings  == Cardinality({n \in 0..MostDoublings : Patience * 2 ^ n <= Slow})
NotStarved == lost <= Doublings * (1 + Cardinality(MayCrash \cap Holders))

------------------------------------------------------------------------------
\* What TLC compares states by: without what nothing depends on any more, and without
\* numbers of revisions, of which only this matters: whether one is the row's, or is the
\* one that the row replaced; and once the row is absent, whether it is older than one
\* that was there.
View ==
    LET was(r) == CASE r = row.rev  -> "is"
                    [] r = row.prev -> "was"
                    [] r = 0        -> "absent"
                    [] OTHER        -> "neither"
        old(r)     == row.rev = 0 /\ r < newest
        calls(w)   == writer[w].pc # "idle"
        times(id)  == {o.times : o \in {x \in ops : x.id = id}}
        ours(q)    == {w \in Writers : q.by = w /\ calls(w) /\ writer[w].rev = q.rev}
        writing(w) == LET s == writer[w] IN
            IF ~calls(w) THEN <<>>
            ELSE <<s.pc, s.pin, s.left, s.stale, s.spent, was(s.old), IF s.pc = "append" THEN "" ELSE was(s.rev),
                   old(s.rev), times(s.op), \E q \in net : w \in ours(q)>>
        others     == {<<q.pin, was(q.old), old(q.rev), {o.fate : o \in {x \in ops : x.id = q.op}}>> :
                       q \in {x \in net : ours(x) = {}}}
        forGood(r) == IF r = 0 THEN row.rev # 0 /\ ran = RunOuts ELSE row.rev = 0 \/ r < row.rev
        state(r)   == CASE forGood(r)  -> "settled for good"
                        [] r = row.rev -> "open"
                        [] r = 0       -> "settled"
                        [] OTHER       -> r
        from(c)    == {w \in Writers : calls(w) /\ writer[w].rev = c.rev}
        there(h)   == {<<state(c.prev), c.done, c.age, job[h].on /\ Key(c) \in job[h].of>> : c \in {d \in feed[h] : d.there}}
        under(h)   == {d \in feed[h] : ~d.there}
        coming(h)  == {<<from(c), state(c.prev), Cardinality({d \in under(h) : from(d) = from(c) /\ state(d.prev) = state(c.prev)})>> : c \in under(h)}
    IN <<row.pin, row.rev = 0, ran, top, Durable, RevisionsGrow, CallsAreRight,
         [w \in Writers |-> writing(w)], others, [h \in Watched |-> <<there(h), coming(h), has[h], job[h].on, job[h].want, level[h].n, was(level[h].of)>>],
         crashed, lost>>
==============================================================================
