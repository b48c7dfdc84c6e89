package endtest

import (
	"errors"
	"testing"
)

func TestRun(t *testing.T) {
	for want, f := range map[Result]func(testing.TB){
		{Failed: "no a"}:  func(tb testing.TB) { tb.Fatalf("no %s", "a") },
		{Failed: "no b"}:  func(tb testing.TB) { tb.Fatal(errors.New("no b")) },
		{Skipped: "no c"}: func(tb testing.TB) { tb.Skipf("no %s", "c") },
	} {
		if got := Run(t, f); got != want {
			t.Errorf("%+v, not %+v", got, want)
		}
	}
}
