package migrate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func TestPlanCountsWhatIsThere(t *testing.T) {
	items := append(pinItems(t, 10), // on a and b
		item{bad: "no pin"},
		item{cid: statetest.Cid("empty")},
		pinItem(t, testPin("everywhere", func(p *api.Pin) { p.ReplicationFactorMin, p.ReplicationFactorMax = -1, -1 })),
		pinItem(t, testPin("nowhere", func(p *api.Pin) { p.Type, p.Allocations = api.MetaType, nil })),
		pinItem(t, testPin("expired", func(p *api.Pin) { p.ExpireAt = time.Unix(1, 0) })),
		pinItem(t, testPin("expiring", func(p *api.Pin) {
			p.ExpireAt = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
			p.Allocations = ids("c", "c")
		})),
	)
	src, dst := newFakeSource(t, items...), newFakeTarget(t)
	plan, err := MakePlan(t.Context(), src, dst, Options{Change: Change{Peers: renames("a", "x")}})
	if err != nil {
		t.Fatal(err)
	}
	if plan.Records != 16 || plan.Pins != 14 || plan.Bad != 2 || len(plan.BadRecords) != 2 || plan.BadRecords[0].At != "line 11" {
		t.Errorf("%d records, %d pins, %d bad: %v", plan.Records, plan.Pins, plan.Bad, plan.BadRecords)
	}
	if plan.Everywhere != 1 || plan.Unallocated != 1 || plan.Expiring != 2 || plan.Expired != 1 {
		t.Errorf("%d everywhere, %d nowhere, %d expiring, %d expired", plan.Everywhere, plan.Unallocated, plan.Expiring, plan.Expired)
	}
	if plan.Changed != 12 { // all that have allocations, but that on c
		t.Errorf("%d changed: want 12", plan.Changed)
	}
	if got := fmt.Sprint(plan.Types, plan.Replication); got != "map[meta-pin:1 pin:13] [{-1 -1 1} {1 2 13}]" {
		t.Errorf("types and replication: %s", got)
	}
	pins := make(map[string]string)
	for _, p := range plan.Peers {
		pins[p.ID.String()] = fmt.Sprint(p.Pins, p.Mapped)
	}
	a, b, c := statetest.Peer("a").String(), statetest.Peer("b").String(), statetest.Peer("c").String()
	if len(pins) != 3 || pins[a] != fmt.Sprint(11, statetest.Peer("x")) || pins[b] != "11" || pins[c] != "1" {
		t.Errorf("peers: %v", pins)
	}
	if plan.Path != PathBulk || plan.Refused != "" || plan.Run != 1 || plan.Resumes {
		t.Errorf("the path is %s (%s), refused %q, run %d, resumes %v", plan.Path, plan.Reason, plan.Refused, plan.Run, plan.Resumes)
	}
	bytes := int64(0)
	mustRun(t, src, dst, Options{Change: Change{Peers: renames("a", "x")}})
	for _, value := range dst.values() {
		bytes += int64(len(value))
	}
	if plan.Bytes != bytes {
		t.Errorf("%d bytes: want %d, as stored", plan.Bytes, bytes)
	}
	wantSnakeCase(t, plan)
}

// wantSnakeCase checks that what is kept as JSON can be read again.
func wantSnakeCase(t *testing.T, plan *Plan) {
	t.Helper()
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	var again Plan
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(again)
	if err != nil || string(second) != string(text) {
		t.Errorf("the plan in JSON is\n%s\nand then (%v)\n%s", text, err, second)
	}
	if !strings.Contains(string(text), `"bad_records":[{"at":"line 11"`) {
		t.Errorf("the plan in JSON is %s", text)
	}
}

func TestPlanSaysWhatRunWouldDo(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 50)...), newFakeTarget(t)
	breakOff(t, src, dst, often(), 30)
	plan := mustPlan(t, src, dst, Options{})
	if plan.Path != PathBulk || !plan.Resumes || plan.ResumesFrom != 29 || plan.Own != 29 || len(plan.Earlier) != 1 || plan.Earlier[0].Records != 29 || plan.Records != 50 {
		t.Errorf("the plan is %+v", plan)
	}
	dst.user(statetest.Cid("u"), testPin("u"))
	plan = mustPlan(t, src, dst, Options{})
	if plan.Path != PathConditional || !plan.Live || plan.Others != 1 || plan.Refused != "" || !strings.Contains(plan.Reason, "in use") {
		t.Errorf("the plan is %+v", plan)
	}
	src.id = "another"
	plan = mustPlan(t, src, dst, Options{})
	if plan.Path != PathConditional || plan.Run != 1 || !strings.Contains(plan.Refused, "holds 30 pins") {
		t.Errorf("the plan is %+v", plan)
	}
	if plan = mustPlan(t, src, dst, Options{Existing: ExistingNewer}); plan.Refused != "" {
		t.Errorf("refused: %s", plan.Refused)
	}
	_, err := MakePlan(t.Context(), src, dst, Options{Change: Change{ReplicationMin: 7}})
	wantError(t, err, "replication factors 7 to 2")
}

func mustPlan(t *testing.T, src *fakeSource, dst *fakeTarget, opts Options) *Plan {
	t.Helper()
	before := len(dst.ops)
	plan, err := MakePlan(t.Context(), src, dst, opts)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(dst.ops[before:]); got != "[migrations count]" {
		t.Errorf("the plan has done %s", got)
	}
	return plan
}
