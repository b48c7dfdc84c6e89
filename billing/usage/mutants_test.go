package usage_test

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that the tests must find. The first ones are planted in each run.
var mutants = []overlay.Mutant{
	{Name: "midnight off by one", Test: "TestDaysAreIntegrals", Edits: []overlay.Edit{
		{File: "day.go", Old: `left.SetInt64(end - s.at)`, New: `left.SetInt64(end - 1 - s.at)`}}},
	{Name: "no dedupe", Test: "TestOrderAndDoubles", Edits: []overlay.Edit{
		{File: "day.go", Old: "			continue\n", New: ""}}},
	{Name: "int64 instead of big", Test: "TestDaysAreIntegrals", Edits: []overlay.Edit{
		{File: "day.go", Old: `d.ByteMS.Add(d.ByteMS, area.Mul(&height, &left))`, New: `d.ByteMS.Add(d.ByteMS, area.SetInt64(height.Int64()*left.Int64()))`}}},
	{Name: "no carry", Test: "TestDaysMakeMonth", Edits: []overlay.Edit{
		{File: "month.go", Old: `opening = day.Closing`, New: ``}}},
	{Name: "lost adjustment", Test: "TestClosedAndAdjusted", Edits: []overlay.Edit{
		{File: "adjustment.go", Old: `	return a, a.Old != a.New`, New: `	return a, a.Old != a.New && before.Deltas != after.Deltas`}}},

	{Name: "a delta at midnight is of two days", Test: "TestOutside", Edits: []overlay.Edit{
		{File: "day.go", Old: `d.At >= end`, New: `d.At > end`}}},
	{Name: "days before 1970 are rounded up", Test: "TestMidnight", Edits: []overlay.Edit{
		{File: "delta.go", Old: `		day--`, New: ``}}},
	{Name: "int64 for a large delta", Test: "TestExbibyteDay", Edits: []overlay.Edit{
		{File: "day.go", Old: `case d.Bytes.IsInt64():`, New: `default:`}, {File: "day.go", Old: "	default:\n		s.large = d.Bytes\n", New: ""}}},
	{Name: "int64 for a larger delta", Test: "TestDaysAreIntegrals", Edits: []overlay.Edit{
		{File: "day.go", Old: `s.large = d.Bytes`, New: `s.large = new(big.Int).SetUint64(d.Bytes.Uint64())`}}},
	{Name: "the opening counts for nothing", Test: "TestDaysAreIntegrals", Edits: []overlay.Edit{
		{File: "day.go", Old: `day.ByteMS.Mul(day.ByteMS, day.Opening.Bytes)`, New: `day.ByteMS.SetInt64(0)`}}},
	{Name: "pins of the opening count for nothing", Test: "TestDaysAreIntegrals", Edits: []overlay.Edit{
		{File: "day.go", Old: `day.PinMS.Mul(day.PinMS, big.NewInt(opening.Pins))`, New: `day.PinMS.SetInt64(0)`}}},
	{Name: "levels are clamped", Test: "TestBelowZero", Edits: []overlay.Edit{
		{File: "day.go", Old: `level.Add(level, &height)`, New: "if level.Add(level, &height); level.Sign() < 0 {\n level.SetInt64(0)\n}"}}},
	{Name: "below zero is not told", Test: "TestBelowZero", Edits: []overlay.Edit{
		{File: "day.go", Old: `fewerPins || level.Sign() < 0`, New: `fewerPins`}}},
	{Name: "the last level of a day is not looked at", Test: "TestPeak", Edits: []overlay.Edit{
		{File: "day.go", Old: "	}\n	d.lasted(level, pins.Sign() < 0)\n	if !pins", New: "	}\n	if !pins"}}},
	{Name: "a level within a millisecond is a peak", Test: "TestPeak", Edits: []overlay.Edit{
		{File: "day.go", Old: `if s.at > now {`, New: `if s.at >= now {`}}},
	{Name: "the peak is in the order of the IDs", Test: "TestDaysAreIntegrals", Edits: []overlay.Edit{
		{File: "day.go", Old: `	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })`, New: ``}}},
	{Name: "IDs are compared by their first bytes", Test: "TestOrderAndDoubles", Edits: []overlay.Edit{
		{File: "day.go", Old: `return bytes.Compare(deltas[a.index].ID[:], deltas[b.index].ID[:])`, New: `return bytes.Compare(nil, nil)`}}},
	{Name: "the first of two wins", Test: "TestConflict", Edits: []overlay.Edit{
		{File: "day.go", Old: `if !deltas[kept[n-1].index].Equal(deltas[p.index]) {`, New: `if false {`}}},
	{Name: "deltas are the same at any time", Test: "TestConflict", Edits: []overlay.Edit{
		{File: "delta.go", Old: `d.ID == other.ID && d.At == other.At &&`, New: `d.ID == other.ID &&`}}},
	{Name: "the digest has no opening", Test: "TestDigests", Edits: []overlay.Edit{
		{File: "digest.go", Old: `	b = appendLevel(b, opening)
`, New: ``}}},
	{Name: "the digest has no signs", Test: "TestDigests", Edits: []overlay.Edit{
		{File: "digest.go", Old: `sign = 1`, New: `sign = 0`}}},
	{Name: "the digest goes by the order given", Test: "TestOrderAndDoubles", Edits: []overlay.Edit{
		{File: "digest.go", Old: `for _, p := range byID {`, New: `for i := range byID {
		p := place{index: i}`}}},
	{Name: "a gap is not noticed", Test: "TestGap", Edits: []overlay.Edit{
		{File: "month.go", Old: `if !day.Opening.Equal(sum.Closing) {`, New: `if false {`}}},
	{Name: "a day more is lost", Test: "TestDaysMakeMonth", Edits: []overlay.Edit{
		{File: "month.go", Old: `		sum.ByteMS.Add(sum.ByteMS, whole(day.ByteMS))`, New: `		if i > 0 || n == 1 {
			sum.ByteMS.Add(sum.ByteMS, whole(day.ByteMS))
		}`}}},
	{Name: "adjustments have the ID of their digests alone", Test: "TestComeAndGone", Edits: []overlay.Edit{
		{File: "adjustment.go", Old: `binary.BigEndian.AppendUint64(b, uint64(version))`, New: `b`}}},
	{Name: "an adjustment counts as often as it is there", Test: "TestClosedAndAdjusted", Edits: []overlay.Edit{
		{File: "adjustment.go", Old: `			continue
		case a.Version`, New: `		case a.Version`}}},
	{Name: "a missing adjustment is not noticed", Test: "TestLostAdjustment", Edits: []overlay.Edit{
		{File: "adjustment.go", Old: `case a.Version != version+1 || a.Old != digest:`, New: `case false:`}}},
	{Name: "that the last adjustment is missing is not noticed", Test: "TestLostAdjustment", Edits: []overlay.Edit{
		{File: "adjustment.go", Old: `if digest != latest {`, New: `if false {`}}},
	{Name: "months that begin on different days are one", Test: "TestDigests", Edits: []overlay.Edit{
		{File: "month.go", Old: `uint64(first))`, New: `0)`}}},
	{Name: "what is taken away is not adjusted", Test: "TestClosedAndAdjusted", Edits: []overlay.Edit{
		{File: "adjustment.go", Old: `		byteMS.Add(byteMS, whole(a.ByteMS))`, New: `		if a.ByteMS.Sign() > 0 {
			byteMS.Add(byteMS, a.ByteMS)
		}`}}},
	{Name: "a closed day is changed", Test: "TestClosedAndAdjusted", Edits: []overlay.Edit{
		{File: "adjustment.go", Old: `byteMS, pinMS = new(big.Int).Set(whole(closed.ByteMS)),`, New: `byteMS, pinMS = whole(closed.ByteMS),`}}},
	{Name: "a day shares its opening", Test: "TestNothingIsShared", Edits: []overlay.Edit{
		{File: "day.go", Old: `Opening: opening.copy(),`, New: `Opening: Level{whole(opening.Bytes), opening.Pins},`}}},
}

// TestMutants plants one bug after the other in the arithmetic.
func TestMutants(t *testing.T) { overlay.Find(t, 5, mutants, "-rapid.nofailfile", "-rapid.seed=1") }
