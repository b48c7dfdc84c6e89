------------------------------- MODULE Moves -------------------------------
(***************************************************************************)
(* How one pin moves between peers, and who may let go of its content:     *)
(* repin, hand-over (drain), `pin add` by upstream's allocator, deaths,    *)
(* returns, removals, a power cut, and the rule that stops moves. The pin  *)
(* is wanted all the time. It is a register that is written under the      *)
(* condition that its revision is still the one that was read; WritePath   *)
(* has what is below that. Moves.md says what is left out.                 *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
  Peers,
  Min, Max,     \* replication_factor_min and _max
  Revisions,    \* how many there are at most
  Deaths,       \* of one process each, by a crash or a restart
  PowerCuts,    \* all processes at once
  PinAdds,      \* by users, with allocations that upstream chose
  Removals,     \* `peers rm` of a dead peer, which may be called back
  Leaves,       \* `peers rm` of a live peer, which hands over
  Fences,       \* new revisions with the content of the one before
  Hour,         \* for how many ticks a death counts for the stop rule; 0: no rule
  Ticks,
  FreshViews,   \* whether repin knows who has come back: by an old view it adds
                \* holders that others take off, again and again until it looks
  Mistake       \* what is planted, "none" for nothing

VARIABLES
  pin,      \* rev, and alloc: the holders
  sent,     \* the write of a move that is under way: the holders, {} if there is none
  told,     \* whose feed has a change that is not done
  row,      \* the placement of each peer: status and rev
  copy,     \* whose IPFS daemon has it pinned; that survives a death
  late,     \* whose IPFS daemon has yet to unpin it, as it was asked to; that, too
  unaware,  \* of those, whose process does not know
  op,       \* what each process does with the pin now; it dies with it
  up,       \* whose process runs
  members,  \* who was not removed
  leaving,  \* who hands over
  live,     \* for each peer, whom it takes for live
  blind,    \* who has just started, and cannot judge yet who is
  heard,    \* for each peer, who has sent a heartbeat since its start
  seen,     \* for each peer, of whom it has read one of those
  last,     \* the stored last beat of each peer, in cluster time
  clock,    \* what cluster time is for each process
  time,     \* ticks so far
  used,     \* how much of each bound is used up
  ghost     \* what was wrong, or not our doing: see the invariants

work == <<row, copy, late, unaware, op>>
views == <<live, blind, heard, seen>>
clocks == <<last, clock, time>>
who == <<up, members, leaving>>
vars == <<pin, sent, told, work, who, views, clocks, used, ghost>>

Need == IF Min > 1 THEN Min ELSE 1

Idle == [do |-> "nothing", rev |-> 0, set |-> {}]
Op(do, rev, set) == [do |-> do, rev |-> rev, set |-> set]
NoRow == [status |-> "none", rev |-> 0]
Row(status, rev) == [status |-> status, rev |-> rev]

Largest(S) == CHOOSE n \in S : \A m \in S : m <= n
Newest == Largest({last[p] : p \in Peers})

Symmetry == Permutations(Peers)

Init ==
  \E first \in SUBSET Peers :
    /\ Cardinality(first) \in Min..Max
    /\ pin = [rev |-> 1, alloc |-> first]
    /\ sent = {}
    /\ told = {}
    /\ row = [p \in Peers |-> IF p \in first THEN Row("pinned", 1) ELSE NoRow]
    /\ copy = first
    /\ late = {}
    /\ unaware = {}
    /\ op = [p \in Peers |-> Idle]
    /\ up = Peers /\ members = Peers /\ leaving = {}
    /\ live = [p \in Peers |-> Peers]
    /\ blind = {}
    /\ heard = [p \in Peers |-> Peers]
    /\ seen = [p \in Peers |-> Peers]
    /\ last = [p \in Peers |-> 0]
    /\ clock = [p \in Peers |-> 0]
    /\ time = 0
    /\ used = [deaths |-> 0, cuts |-> 0, adds |-> 0, removals |-> 0, leaves |-> 0, fences |-> 0]
    /\ ghost = [early |-> FALSE, few |-> FALSE, storm |-> FALSE, taken |-> FALSE, back |-> {},
                gone |-> [p \in Peers |-> 0], cut |-> {}]

Do(p, o) == op' = [op EXCEPT ![p] = o]
Use(what) == used' = [used EXCEPT ![what] = @ + 1]

\* Without a stop rule nobody asks who was seen.
Seeing(s) == IF Hour = 0 THEN Peers ELSE s

Stop(s) == /\ op' = [p \in Peers |-> IF p \in s THEN Idle ELSE op[p]]
           /\ unaware' = unaware \cup (s \cap late)
           /\ clock' = [p \in Peers |-> IF p \in s THEN 0 ELSE clock[p]]
           /\ live' = [p \in Peers |-> IF p \in s THEN {} ELSE live[p]]
           /\ blind' = blind \ s
           /\ heard' = [p \in Peers |-> IF p \in s THEN Seeing({}) ELSE heard[p]]
           /\ seen' = [p \in Peers |-> IF p \in s THEN Seeing({}) ELSE seen[p]]

-----------------------------------------------------------------------------
\* Writes of the pin. What was decided on is written under the condition that the pin is
\* still the one that was counted, and anything may happen before it is made, also the
\* death of who has counted. Of all writes of a revision one at most is made, and until
\* then none changes anything: so one at a time stands for them.
Send(holders) == sent = {} /\ sent' = holders

\* A new revision. The writes of the one before are refused.
Becomes(alloc) ==
  /\ pin.rev < Revisions
  /\ pin' = [rev |-> pin.rev + 1, alloc |-> alloc]
  /\ sent' = IF Mistake = "write without a condition" THEN sent ELSE {}

\* Who has a copy that IPFS has not yet to unpin.
Firm == copy \ late

\* The compare-and-set of a move.
\* code: scyllastate/conditional.go PutIf
Write ==
  /\ sent # {} /\ pin.rev < Revisions
  /\ pin' = [rev |-> pin.rev + 1, alloc |-> sent]
  /\ sent' = {}
  /\ told' = told \cup pin.alloc \cup sent
  /\ LET had == Cardinality((Firm \cap pin.alloc \cap members) \ ghost.back)
         has == Cardinality(Firm \cap sent)
     IN ghost' = [ghost EXCEPT !.early = @ \/ (has < had /\ has < Need)]
  /\ UNCHANGED <<work, who, views, clocks, used>>

-----------------------------------------------------------------------------
\* Who counts: a member that p takes for live, whose row says pinned at exactly
\* that revision.
\* code: peer/tracker/keep.go keeps
\* code: peer/reconcile/settle.go settle
\* code: peer/reconcile/drain.go others
Counts(p, q, rev) ==
  \/ /\ q \in live[p] \cap members
     /\ row[q].status = "pinned"
     /\ \/ row[q].rev = rev
        \/ Mistake = "any revision counts, count first"
  \/ /\ Mistake = "removed peers count"
     /\ q \notin members /\ row[q].status = "pinned" /\ row[q].rev = rev

Enough(p, holders, rev) == {q \in holders : Counts(p, q, rev)}

\* What is left of too many holders: those that count stay as long as there are
\* others, and Need of them in any case.
\* code: peer/reconcile/settle.go settle
Trims(holders, counting) ==
  IF Cardinality(holders) <= Max THEN {holders}
  ELSE {s \in SUBSET holders :
          /\ Cardinality(s) = Max
          /\ Cardinality(s \cap counting) >= Need
          /\ counting \subseteq s \/ s \subseteq counting}

-----------------------------------------------------------------------------
\* Who has written a row that is at no end may have asked IPFS for an unpin: the next
\* process finds that when it reads the row, and takes it for so where it reads none.
\* code: peer/tracker/again.go leftBy
\* code: peer/tracker/work.go pinWorker
Reads(p) == IF row[p].status = "unpinning" /\ Mistake # "a start forgets unpins"
            THEN unaware \ {p} ELSE unaware

Going(p) == [row EXCEPT ![p] = Row("unpinning", 0)] \* nobody asks of which revision

\* What IPFS does not have is nothing to keep.
MayGo(p, holders, rev) ==
  \/ Cardinality(Enough(p, holders \ {p}, rev)) >= Need
  \/ p \notin copy
  \/ Mistake = "let go unguarded"

\* The tracker of a peer. It does one thing at a time with a CID, and looks at the
\* pin when its feed tells it to.
\* code: peer/tracker/act.go accept
Look(p) ==
  /\ p \in up /\ p \in told /\ op[p].do = "nothing"
  /\ IF p \in pin.alloc
     THEN IF row[p] = Row("pinned", pin.rev)
          THEN /\ told' = told \ {p}
               /\ UNCHANGED <<unaware, op, row>>
          ELSE /\ Do(p, Op("pin", pin.rev, {}))
               /\ unaware' = Reads(p)
               /\ UNCHANGED <<row, told>>
     ELSE IF row[p].status = "none"
          THEN /\ told' = told \ {p}
               /\ UNCHANGED <<unaware, op, row>>
          ELSE \* Others must not count on it any more: that is noted first.
               /\ Do(p, Op("count", pin.rev, pin.alloc))
               /\ IF Mistake = "any revision counts, count first"
                  THEN MayGo(p, pin.alloc, pin.rev) /\ row' = row
                  ELSE row' = Going(p)
               /\ unaware' = Reads(p)
               /\ UNCHANGED told
  /\ UNCHANGED <<pin, sent, copy, late, who, views, clocks, used, ghost>>

\* IPFS has it pinned, which takes somebody who has it, and that is noted. An unpin that
\* may be late is done first: others will count on what is noted.
\* code: peer/tracker/note.go noteOutcome
\* code: peer/tracker/again.go settled
Pinned(p) ==
  /\ p \in up /\ op[p].do = "pin"
  /\ p \notin late \ unaware \/ Mistake = "pinned while an unpin is outstanding"
  /\ copy \cap (up \cup {p}) # {}
  /\ copy' = copy \cup {p}
  /\ row' = [row EXCEPT ![p] = Row("pinned", op[p].rev)]
  /\ told' = IF op[p].rev = pin.rev THEN told \ {p} ELSE told
  /\ Do(p, Idle)
  /\ UNCHANGED <<pin, sent, late, unaware, who, views, clocks, used, ghost>>

\* A newer revision counts, but while it lets go only one that gives the pin back to it.
\* What IPFS was asked for it does all the same.
\* code: peer/tracker/act.go renew
Overtaken(p) ==
  /\ p \in up /\ op[p].rev < pin.rev
  /\ \/ op[p].do = "pin"
     \/ op[p].do \in {"count", "unpin"} /\ p \in pin.alloc
  /\ Do(p, Idle)
  /\ UNCHANGED <<pin, sent, told, row, copy, late, unaware, who, views, clocks, used, ghost>>

\* LET GO: a peer that is not a holder any more keeps the content until enough
\* others have it, whoever took the pin off it. Then IPFS is asked to unpin it, which may
\* wait here and there.
\* code: peer/tracker/note.go decide
\* code: peer/tracker/work.go unpinWorker
Count(p) ==
  /\ p \in up /\ op[p].do = "count"
  /\ IF MayGo(p, op[p].set, op[p].rev) \/ Mistake = "any revision counts, count first"
     THEN /\ row' = Going(p)
          /\ late' = late \cup {p}
          /\ Do(p, Op("unpin", op[p].rev, {}))
     ELSE /\ Do(p, Idle) \* it stays told: asked again
          /\ UNCHANGED <<row, late>>
  /\ UNCHANGED <<pin, sent, told, copy, unaware, who, views, clocks, used, ghost>>

\* IPFS does so when it has collected its garbage, also if nobody waits for it any more.
\* world: IPFS
Unpin(p) ==
  /\ p \in late
  /\ late' = late \ {p}
  /\ unaware' = unaware \ {p}
  /\ copy' = copy \ {p}
  /\ ghost' = [ghost EXCEPT !.few = @ \/ (p \in copy /\ Cardinality(Firm) < Need)]
  /\ UNCHANGED <<pin, sent, told, row, op, who, views, clocks, used>>

\* It answers a request when all of before are done.
\* code: peer/tracker/note.go drop
Drop(p) ==
  /\ p \in up /\ op[p].do = "unpin" /\ p \notin late
  /\ row' = [row EXCEPT ![p] = NoRow]
  /\ told' = IF op[p].rev = pin.rev THEN told \ {p} ELSE told
  /\ Do(p, Idle)
  /\ UNCHANGED <<pin, sent, copy, late, unaware, who, views, clocks, used, ghost>>

\* Or the answer is lost. Before it is asked again the others are counted again.
\* code: peer/tracker/work.go returned
NoAnswer(p) ==
  /\ p \in up /\ op[p].do = "unpin"
  /\ Do(p, Idle)
  /\ UNCHANGED <<pin, sent, told, row, copy, late, unaware, who, views, clocks, used, ghost>>

-----------------------------------------------------------------------------
\* END of a move: who finds that enough count takes off who is too many. Holders that
\* have confirmed look, and those who look after a dead peer or scrub; here anybody may
\* at any time.
\* code: peer/reconcile/settle.go endMoves
\* code: peer/reconcile/move.go moveAway
\* code: peer/reconcile/scrub.go scrubPin
Settle(p) ==
  /\ p \in up \ blind
  /\ Cardinality(pin.alloc) > Max
  /\ LET counting == Enough(p, pin.alloc, pin.rev)
     IN /\ Cardinality(counting) >= Need
        /\ \E s \in Trims(pin.alloc, counting) : Send(s)
  /\ UNCHANGED <<pin, told, work, who, views, clocks, used, ghost>>

-----------------------------------------------------------------------------
\* The stop rule as q sees it.
Dead(q) == {d \in members \ live[q] :
              /\ clock[q] - last[d] < Hour
              /\ d \in seen[q] \/ Mistake # "cold start counts nobody"}

\* code: peer/reconcile/stop.go holds
Stopped(q) ==
  LET dead == Dead(q)
      counted == (live[q] \cap members) \cup dead
  IN /\ Hour > 0
     /\ \/ \E d \in dead : d \notin seen[q]
        \/ /\ Cardinality(dead) >= 2
           /\ \/ 2 * Cardinality(dead) > Cardinality(counted)
              \/ 2 * Cardinality(dead) = Cardinality(counted) /\ Mistake # "half is not enough"

\* What it is for: half of the peers or more have died within the hour, or somebody
\* has not come back from a power cut. The time in which nobody ran does not count.
Storm ==
  LET dead == {d \in members \ up : ghost.gone[d] < Hour}
  IN \/ dead \cap ghost.cut # {}
     \/ /\ Cardinality(dead) >= 2
        /\ 2 * Cardinality(dead) >= Cardinality((up \cap members) \cup dead)

\* ADD: a pin with too few live holders gets another one. Who is dead stays a
\* holder; who was removed does not. q acts only when everybody that it takes for
\* live was heard of since.
Candidates(q) == ((live[q] \cap members) \ leaving) \ pin.alloc
Living(q) == ((pin.alloc \cap live[q]) \cap members) \ leaving

\* code: peer/reconcile/move.go moveAway
Repin(q) ==
  /\ q \in up \ (leaving \cup blind)
  /\ live[q] \subseteq up
  /\ FreshViews => live[q] = up
  /\ pin.alloc \ (live[q] \cap members) # {}
  /\ ~Stopped(q)
  /\ \/ /\ Cardinality(Living(q)) < Min
        /\ \E n \in Candidates(q) :
             Send(IF Mistake = "move before pinned"
                  THEN (pin.alloc \cap live[q] \cap members) \cup {n}
                  ELSE (pin.alloc \cap members) \cup {n})
        /\ ghost' = [ghost EXCEPT !.storm = @ \/ (Hour > 0 /\ Storm)]
     \/ /\ Cardinality(Living(q)) >= Min
        /\ ~(pin.alloc \subseteq members)
        /\ Send(pin.alloc \cap members)
        /\ UNCHANGED ghost
  /\ UNCHANGED <<pin, told, work, who, views, clocks, used>>

\* Holders that will not have the pin soon. Some may have it all the same.
\* code: peer/reconcile/drain.go others
Useless(p, others) == others \ ((live[p] \cap members) \ leaving)

\* DRAIN: a peer that leaves stays a holder until enough others count. Once enough have
\* the pin with itself it may put others in the place of those that are useless.
\* code: peer/reconcile/drain.go drainPin
Drain(p) ==
  /\ p \in (up \cap leaving \cap pin.alloc) \ blind
  /\ LET others == pin.alloc \ {p}
         counting == Enough(p, others, pin.rev)
         has == row[p] = Row("pinned", pin.rev)
         have == Cardinality(counting) + (IF has THEN 1 ELSE 0)
     IN IF Cardinality(counting) >= Need
        THEN \E s \in Trims(others, counting) : Send(s)
        ELSE /\ Cardinality(Living(p)) < Min
             /\ \E n \in Candidates(p), useless \in SUBSET Useless(p, others) :
                  /\ useless # {} => /\ have >= Need \/ (has /\ Mistake = "drain forgets the dead")
                                    /\ Cardinality((others \ useless) \cup {n}) >= Max
                  /\ Send((pin.alloc \ useless) \cup {n})
  /\ UNCHANGED <<pin, told, work, who, views, clocks, used, ghost>>

\* It leaves when it has nothing left, also nothing that it keeps for others.
\* code: peer/reconcile/drain.go pass
Finish(p) ==
  /\ p \in (up \cap leaving) \ (pin.alloc \cup blind) /\ op[p].do = "nothing"
  /\ row[p].status = "none" \/ Mistake = "finish with rows"
  /\ members' = members \ {p}
  /\ leaving' = leaving \ {p}
  /\ up' = up \ {p}
  /\ Stop({p})
  /\ UNCHANGED <<pin, sent, told, row, copy, late, last, time, used, ghost>>

-----------------------------------------------------------------------------
\* What users and operators do.

\* world: a user, by the allocator of upstream
PinAdd ==
  /\ used.adds < PinAdds
  /\ \E s \in SUBSET (up \cap members) :
       /\ Cardinality(s) \in Min..Max /\ s # pin.alloc
       /\ Becomes(s)
       /\ told' = told \cup pin.alloc \cup s
  /\ Use("adds")
  /\ UNCHANGED <<work, who, views, clocks, ghost>>

\* world: an operator
Leave(p) ==
  /\ used.leaves < Leaves /\ p \in up /\ Cardinality(up) > 1
  /\ leaving' = leaving \cup {p}
  /\ Use("leaves")
  /\ UNCHANGED <<pin, sent, told, work, up, members, views, clocks, ghost>>

\* Removing a dead peer takes away what nobody else has, or is to keep: that is the
\* operator's doing.
\* world: an operator
Remove(p) ==
  /\ used.removals < Removals /\ p \in members \ up /\ up # {}
  /\ \A q \in up : p \notin live[q]
  /\ members' = members \ {p}
  /\ leaving' = leaving \ {p}
  /\ ghost' = [ghost EXCEPT !.taken = @ \/ Firm \cap (members \ {p}) = {}]
  /\ Use("removals")
  /\ UNCHANGED <<pin, sent, told, work, up, views, clocks>>

\* A writer of another revision is fenced. The holders are told before.
\* code: scyllastate/fence.go tellHolders
Fence ==
  /\ used.fences < Fences
  /\ Becomes(pin.alloc)
  /\ told' = IF Mistake = "a fence tells nobody" THEN told ELSE told \cup pin.alloc
  /\ Use("fences")
  /\ UNCHANGED <<work, who, views, clocks, ghost>>

-----------------------------------------------------------------------------
\* Processes and time.

\* What it has sent may get lost with it.
\* world: a crash, or a restart
Die(p) ==
  /\ used.deaths < Deaths /\ p \in up
  /\ up' = up \ {p}
  /\ sent' \in {sent, {}}
  /\ Stop({p})
  /\ ghost' = [ghost EXCEPT !.gone[p] = 0]
  /\ Use("deaths")
  /\ UNCHANGED <<pin, told, row, copy, late, members, leaving, last, time>>

\* world: the power
PowerCut ==
  /\ used.cuts < PowerCuts /\ up # {}
  /\ up' = {}
  /\ sent' \in {sent, {}}
  /\ Stop(up)
  /\ ghost' = [ghost EXCEPT !.gone = [p \in Peers |-> IF p \in up THEN 0 ELSE @[p]],
                            !.cut = IF Hour = 0 THEN {} ELSE @ \cup up]
  /\ Use("cuts")
  /\ UNCHANGED <<pin, told, row, copy, late, members, leaving, last, time>>

\* A process starts; a removed peer is called back. It goes on from the newest beat
\* that is stored, and judges nobody before it has seen who is live: for so long all may
\* be whose heartbeats it finds.
\* code: peer/membership/last_beat.go read
Start(p) ==
  /\ p \notin up
  /\ up' = up \cup {p}
  /\ members' = members \cup {p}
  /\ told' = IF p \in members THEN told ELSE told \cup {p}
  /\ live' = [live EXCEPT ![p] = Peers]
  /\ blind' = blind \cup {p}
  /\ heard' = [heard EXCEPT ![p] = Seeing(IF Mistake = "what is stored is heard" THEN Peers ELSE {p})]
  /\ seen' = [seen EXCEPT ![p] = Seeing({p})]
  /\ clock' = [clock EXCEPT ![p] = Newest]
  /\ last' = [last EXCEPT ![p] = IF Mistake = "wall time" THEN time ELSE Newest]
  /\ ghost' = [ghost EXCEPT !.gone[p] = 0, !.cut = @ \ {p},
                            !.back = IF p \in members THEN @ ELSE @ \cup {p}]
  /\ UNCHANGED <<pin, sent, work, leaving, time, used>>

\* code: peer/membership/heartbeat.go sendHeartbeat
Beat(q) ==
  /\ Hour > 0 /\ q \in up
  /\ \E p \in up : q \notin heard[p]
  /\ heard' = [p \in Peers |-> IF p \in up THEN heard[p] \cup {q} ELSE heard[p]]
  /\ UNCHANGED <<pin, sent, told, work, who, live, blind, seen, clocks, used, ghost>>

\* p looks at the table of peers. It has seen those who have sent a heartbeat since it
\* started, among them all who run: it judges nobody for as long as they may take.
\* code: peer/membership/observe.go observe
Notice(p) ==
  /\ p \in up /\ up \subseteq heard[p]
  /\ live[p] # up \/ p \in blind \/ seen[p] # heard[p]
  /\ live' = [live EXCEPT ![p] = up]
  /\ blind' = blind \ {p}
  /\ seen' = [seen EXCEPT ![p] = heard[p]]
  /\ UNCHANGED <<pin, sent, told, work, who, heard, clocks, used, ghost>>

\* Cluster time goes on while somebody runs.
\* code: peer/membership/last_beat.go noteLastBeat
Tick ==
  /\ time < Ticks
  /\ time' = time + 1
  /\ clock' = [p \in Peers |-> IF p \notin up THEN clock[p]
                               ELSE IF Mistake = "wall time" THEN clock[p] + 1 ELSE Newest + 1]
  /\ last' = [p \in Peers |-> IF p \notin up THEN last[p]
                              ELSE IF Mistake = "wall time" THEN time' ELSE clock'[p]]
  /\ ghost' = [ghost EXCEPT !.gone =
       [p \in Peers |-> IF up # {} /\ p \notin up /\ @[p] < Hour THEN @[p] + 1 ELSE @[p]]]
  /\ UNCHANGED <<pin, sent, told, work, who, views, used>>

Next ==
  \/ \E p \in Peers : Look(p)
  \/ \E p \in Peers : Pinned(p)
  \/ \E p \in Peers : Overtaken(p)
  \/ \E p \in Peers : Count(p)
  \/ \E p \in Peers : Unpin(p)
  \/ \E p \in Peers : Drop(p)
  \/ \E p \in Peers : NoAnswer(p)
  \/ \E p \in Peers : Settle(p)
  \/ \E p \in Peers : Repin(p)
  \/ \E p \in Peers : Drain(p)
  \/ \E p \in Peers : Finish(p)
  \/ \E p \in Peers : Leave(p)
  \/ \E p \in Peers : Remove(p)
  \/ \E p \in Peers : Die(p)
  \/ \E p \in Peers : Start(p)
  \/ \E p \in Peers : Beat(p)
  \/ \E p \in Peers : Notice(p)
  \/ Write
  \/ PinAdd
  \/ Fence
  \/ PowerCut
  \/ Tick

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
\* The promises.

TypeOK ==
  /\ pin.rev \in 1..Revisions /\ pin.alloc \subseteq Peers /\ sent \subseteq Peers
  /\ \A p \in Peers : op[p].do \in {"nothing", "pin", "count", "unpin"}
  /\ \A p \in Peers : row[p].status \in {"none", "pinned", "unpinning"}
  /\ \A p \in Peers : p \in live[p] \/ p \notin up
  /\ blind \subseteq up /\ unaware \subseteq late
  /\ \A p \in up : seen[p] \subseteq heard[p]

\* "Content that somebody wants is never without a copy through our doing": a copy on
\* the disk of a dead peer is one, on that of a removed peer none, nor is one that IPFS
\* has yet to unpin.
NeverWithoutACopy == ghost.taken \/ Firm \cap members # {}

\* A pin never leaves its only holders before enough others have it pinned: no write
\* of repin, drain or the end of a move does that. Who was removed and called back
\* may still be taken off by a write of before, and who counted may be removed before
\* the write is made: LET GO keeps the content then.
NoMoveBeforePinned == ~ghost.early

\* Nobody unpins what fewer than max(1, rf_min) others have.
NobodyLetsGoTooEarly == ~ghost.few

\* Nothing is moved while half of the peers are dead and were alive within the hour.
NoStorm == ~ghost.storm

\* What a row says is so, and stays so: IPFS has not yet to unpin it.
RowsAreTrue == \A p \in Peers : row[p].status = "pinned" => p \in copy
NobodyCountsOnWhatGoes == \A p \in late : row[p].status # "pinned"

\* An under-replicated pin gets its copies when enough peers live, one of them with
\* the content.
WellHeld == Cardinality({p \in pin.alloc \cap up \cap members : row[p] = Row("pinned", pin.rev)}) >= Min

\* The bound on revisions is none: otherwise what is live would be by that.
RevisionsLeft == pin.rev < Revisions

GetsItsCopies ==
  <>[](Cardinality((up \cap members) \ leaving) >= Min /\ copy \cap up # {}) => <>[]WellHeld

Fairness ==
  /\ WF_vars(Write)
  /\ \A p \in Peers :
       /\ WF_vars(Look(p)) /\ WF_vars(Pinned(p)) /\ WF_vars(Overtaken(p)) /\ WF_vars(Count(p))
       /\ WF_vars(Unpin(p)) /\ WF_vars(Drop(p)) /\ WF_vars(Settle(p))
       /\ WF_vars(Repin(p)) /\ WF_vars(Drain(p)) /\ WF_vars(Notice(p))

LiveSpec == Spec /\ Fairness
=============================================================================
