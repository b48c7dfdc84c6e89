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
    MayCrash,           \* which of them crash, once each
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
    level,      \* how many fences of the CID a holder remembers
    lost        \* how often the call that runs has lost to another write

vars == <<row, newest, truth, ran, net, ops, writer, feed, has, job, top, crashed, level, lost>>

Absent == [rev |-> 0, prev |-> 0, pin |-> {}]
Idle   == [pc |-> "idle", op |-> 0, rev |-> 0, old |-> 0, pin |-> {}, left |-> {}, stale |-> FALSE, spent |-> 0]
NoJob  == [on |-> FALSE, want |-> FALSE, revs |-> {}]

Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b

Change == [rev : 1..Revs, prev : 0..Revs, there : BOOLEAN, done : BOOLEAN, age : 0..Slow]
Update == [by : Writers \cup Holders, op : 0..Revs, rev : 0..Revs, old : 0..Revs, pin : SUBSET Holders]
Call   == [id : 1..Revs, fate : {"running", "acknowledged", "nothing", "refused", "unknown"}, times : 0..3]

TypeOK ==
    /\ row \in [rev : 0..Revs, prev : 0..Revs, pin : SUBSET Holders]
    /\ newest \in 0..Revs /\ top \in 0..Revs /\ ran \in 0..RunOuts
    /\ truth \in SUBSET Holders
    /\ net \subseteq Update /\ ops \subseteq Call
    /\ writer \in [Writers -> [pc : {"idle", "append", "wait", "ask"}, op : 0..Revs, rev : 0..Revs, old : 0..Revs,
                               pin : SUBSET Holders, left : SUBSET Holders, stale : BOOLEAN, spent : 0..Slow]]
    /\ \A h \in Holders : feed[h] \subseteq Change
    /\ has \in [Holders -> BOOLEAN]
    /\ job \in [Holders -> [on : BOOLEAN, want : BOOLEAN, revs : SUBSET (1..Revs)]]
    /\ crashed \subseteq MayCrash /\ level \in [Holders -> 0..Revs] /\ lost \in 0..Tries

Init ==
    /\ row = Absent /\ newest = 0 /\ truth = {} /\ ran = 0
    /\ net = {} /\ ops = {} /\ writer = [w \in Writers |-> Idle]
    /\ feed = [h \in Holders |-> {}] /\ has = [h \in Holders |-> FALSE] /\ job = [h \in Holders |-> NoJob]
    /\ top = 0 /\ crashed = {} /\ level = [h \in Holders |-> 0] /\ lost = 0

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
    IF Mistake = "only the new holders are told" /\ next # {} THEN next ELSE old \cup next

\* One try of a call: it decides on the row as it is, chooses a revision, and sends
\* an intent to each feed. Those that are lost or late are sent again, which
\* changes nothing here: they are still under way.
Try(w, op, pin) ==
    /\ top < Tries
    /\ top' = top + 1
    /\ writer' = [writer EXCEPT ![w] = [pc |-> "append", op |-> op, rev |-> top + 1, old |-> row.rev, pin |-> pin,
                                        left |-> Told(row.pin, pin), stale |-> FALSE, spent |-> 0]]
    /\ feed' = [h \in Holders |-> IF h \notin Told(row.pin, pin) THEN feed[h]
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
    /\ Slow > 0 => top = 0 \* one call is enough for time
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
    /\ feed' = [h \in Holders |-> {c \in feed[h] : c.there \/ c.rev # writer[w].rev}]
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

\* The very same update once more.
\* code: scyllastate/update.go resolve
Repeat(w) ==
    /\ writer[w].pc = "ask"
    /\ ~writer[w].stale \/ Mistake = "a stale write is repeated"
    /\ row.rev = writer[w].old /\ Request(w) \notin net
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
\* waiting.
\* code: scyllastate/tables.go swap
\* code: scyllastate/tables.go fence
Apply == \E q \in net : Effect(q)

\* A conditional update of a writer is lost on its way. That of a fence may stay
\* under way for ever.
\* world: the network
Lose ==
    /\ \E q \in net :
          /\ q.op # 0
          /\ net' = net \ {q}
          /\ ops' = Known(ops, net \ {q})
    /\ UNCHANGED <<row, newest, truth, ran, writer, feed, has, job, top, crashed, level, lost>>

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

\* A holder reads the row, and begins to act on it for all changes that are settled.
\* code: scyllastate/feed_task.go act
Look(h) ==
    /\ ~job[h].on
    /\ \E c \in Open(h) : Settled(c)
    /\ job' = [job EXCEPT ![h] = [on |-> TRUE, want |-> h \in row.pin, revs |-> {c.rev : c \in {d \in Open(h) : Settled(d)}}]]
    /\ UNCHANGED <<row, newest, truth, ran, net, ops, writer, feed, has, top, crashed, level, lost>>

\* Its IPFS daemon has done what the row asked for when it was read. A change that is
\* done stays in the feed for a process that begins at the cursor; without one it is
\* as good as passed.
\* code: scyllastate/feed_task.go finish
Finish(h) ==
    LET all  == Mistake = "what came meanwhile is done"
        mine == {c \in feed[h] : c.there /\ (c.rev \in job[h].revs \/ all)}
    IN
    /\ job[h].on
    /\ has' = [has EXCEPT ![h] = job[h].want]
    /\ feed' = [feed EXCEPT ![h] = (@ \ mine) \cup IF h \in MayCrash \ crashed THEN {[c EXCEPT !.done = TRUE] : c \in mine} ELSE {}]
    /\ job' = [job EXCEPT ![h] = NoJob]
    /\ UNCHANGED <<row, newest, truth, ran, net, ops, writer, top, crashed, level, lost>>

\* How long a change is open before a holder fences: no shorter than its writer may
\* take for an append and clocks may differ, and twice as long after each fence.
Wait(h) ==
    CASE Mistake = "fence at once"          -> 0
      [] Mistake = "patience does not grow" -> Patience
      [] OTHER                              -> Patience * 2 ^ level[h]

\* A change has stayed open for long: the holder gives the row another revision, so
\* that the writer's update fails.
\* code: scyllastate/fence.go fence
\* code: scyllastate/feed_task.go act
Fence(h) ==
    /\ ~job[h].on
    /\ Mistake # "nobody fences"
    /\ \E c \in Open(h) : ~Settled(c) /\ c.age >= Wait(h)
    /\ IF Mistake = "a wait decides"
       THEN /\ feed' = [feed EXCEPT ![h] = {IF c \in Open(h) THEN [c EXCEPT !.done = TRUE] ELSE c : c \in @}]
            /\ UNCHANGED <<net, level>>
       ELSE /\ top < Revs
            /\ \A q \in net : q.by # h
            /\ net' = net \cup {[by |-> h, op |-> 0, rev |-> 0, old |-> row.rev, pin |-> row.pin]}
            /\ level' = IF Slow > 0 THEN [level EXCEPT ![h] = @ + 1] ELSE level
            /\ UNCHANGED feed
    /\ UNCHANGED <<row, newest, truth, ran, ops, writer, has, job, top, crashed, lost>>

\* The stored cursor passes a change that is done. It passes the others in the order
\* of their times, which only keeps it back.
\* code: scyllastate/feed_tail.go position
\* code: scyllastate/feed.go save
Pass(h) ==
    /\ \E c \in feed[h] :
          /\ c.there
          /\ c.done \/ (Mistake = "the cursor passes an open change" /\ \E d \in feed[h] : d.done)
          /\ feed' = [feed EXCEPT ![h] = @ \ {c}]
    /\ UNCHANGED <<row, newest, truth, ran, net, ops, writer, has, job, top, crashed, level, lost>>

------------------------------------------------------------------------------
(* What else happens.                                                         *)

\* A writer crashes: nobody hears of its call, and what it has sent may arrive.
\* world: a crash
CrashWriter(w) ==
    /\ w \in MayCrash \ crashed
    /\ writer[w].pc # "idle"
    /\ crashed' = crashed \cup {w}
    /\ End(w, "unknown")
    /\ UNCHANGED <<row, newest, truth, ran, net, feed, has, job, top, level>>

\* A holder crashes. The next process begins at the stored cursor.
\* world: a crash
CrashHolder(h) ==
    /\ h \in MayCrash \ crashed
    /\ feed[h] # {}
    /\ crashed' = crashed \cup {h}
    /\ feed' = [feed EXCEPT ![h] = {[c EXCEPT !.done = FALSE, !.age = 0] : c \in @}]
    /\ job' = [job EXCEPT ![h] = NoJob]
    /\ level' = [level EXCEPT ![h] = 0]
    /\ UNCHANGED <<row, newest, truth, ran, net, ops, writer, has, top, lost>>

\* Time passes. No try of a write takes longer than Slow.
\* world: time
Tick ==
    /\ Slow > 0
    /\ \A w \in Writers : writer[w].pc # "idle" => writer[w].spent < Slow
    /\ writer' = [w \in Writers |-> IF writer[w].pc = "idle" THEN writer[w] ELSE [writer[w] EXCEPT !.spent = @ + 1]]
    /\ feed' = [h \in Holders |-> {IF c \in Open(h) THEN [c EXCEPT !.age = Min(@ + 1, Slow)] ELSE c : c \in feed[h]}]
    /\ UNCHANGED <<row, newest, truth, ran, net, ops, has, job, top, crashed, level, lost>>

Next ==
    \/ \E w \in Writers, pin \in Pins : Decide(w, pin)
    \/ \E h \in Holders : Land(h)
    \/ \E w \in Writers : Refuse(w)
    \/ \E w \in Writers : Swap(w)
    \/ \E w \in Writers : NotApplied(w)
    \/ \E w \in Writers : LoseAnswer(w)
    \/ \E w \in Writers : Repeat(w)
    \/ \E w \in Writers : ReadBack(w)
    \/ \E w \in Writers : GiveUp(w)
    \/ Apply
    \/ Lose
    \/ RunOut
    \/ \E h \in Holders : Look(h)
    \/ \E h \in Holders : Finish(h)
    \/ \E h \in Holders : Fence(h)
    \/ \E h \in Holders : Pass(h)
    \/ \E w \in Writers : CrashWriter(w)
    \/ \E h \in Holders : CrashHolder(h)
    \/ Tick

Spec == Init /\ [][Next]_vars

\* What is done in the end if nothing stops it: by holders, by a writer for itself.
Fairness ==
    /\ \A h \in Holders :
          /\ WF_vars(Look(h)) /\ WF_vars(Finish(h)) /\ WF_vars(Fence(h))
          /\ WF_vars(Pass(h))
          /\ WF_vars(\E q \in net : q.by = h /\ Effect(q))
    /\ \A w \in Writers :
          /\ WF_vars(Refuse(w)) /\ WF_vars(Swap(w)) /\ WF_vars(NotApplied(w)) /\ WF_vars(LoseAnswer(w)) /\ WF_vars(GiveUp(w))

LiveSpec == Spec /\ Fairness

Symmetry == Permutations(Writers) \cup Permutations(Holders)

\* What TLC compares states by: without what nothing depends on any more. Changes that
\* are there are told apart by what settles them, and those that are settled whatever
\* happens not at all; what row replaced, only by writers that may ask.
View ==
    LET asks    == \E w \in Writers : writer[w].pc # "idle" /\ row.prev \in {writer[w].rev, writer[w].old}
        forGood == 0..(Max(row.rev, 1) - 1) \ {0}
        seen(h) == {IF c.there
                    THEN <<IF c.prev \in forGood THEN 1 ELSE c.prev, c.done, c.age, job[h].on /\ c.rev \in job[h].revs>>
                    ELSE <<c.rev, c.prev>> : c \in feed[h]}
    IN <<row.rev, row.pin, IF asks THEN row.prev ELSE 0, newest, truth, ran, net, ops, writer, [h \in Holders |-> seen(h)],
         has, [h \in Holders |-> <<job[h].on, job[h].want>>], top, crashed, level, lost>>

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
    \A h \in Holders : has[h] # (h \in row.pin) => \E c \in Open(h) : Settled(c)

\* 4, as it is meant: it acts.
EveryChangeIsActedOn ==
    \A h \in Holders : has[h] # (h \in row.pin) ~> has[h] = (h \in row.pin)

\* A writer that has stopped or died holds up no cursor for ever.
NoChangeStaysOpen ==
    \A h \in Holders : Open(h) # {} ~> Open(h) = {}

\* Every call ends: applied, refused, or with an error.
EveryCallEnds ==
    \A w \in Writers : writer[w].pc # "idle" ~> writer[w].pc = "idle"

\* No bound stops a fence, in the configurations for what must happen in the end.
RevisionsSuffice == top < Revs

\* A slow writer is not starved. Each holder fences it once for each doubling of its
\* patience that is not longer than a try, and again if it forgets: a writer that is
\* faster than the first patience is never fenced.
Doublings == Cardinality({n \in 0..4 : Patience * 2 ^ n <= Slow})
NotStarved == lost <= Doublings * (Cardinality(Holders) + Cardinality(MayCrash \cap Holders))
==============================================================================
