package gateway

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestOwnRateOfATenant: as many at once as in a second, then one after another; and a rate
// that is changed counts.
func TestOwnRateOfATenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := newPerTenant(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		takes := func(tenant string, perSecond int) (n int) {
			for range 100 {
				if wait, ok := p.take(tenant, perSecond); !ok {
					if wait <= 0 || wait > time.Second {
						t.Errorf("it is to wait for %s", wait)
					}
					return n
				}
				n++
			}
			return n
		}
		if a, b := takes("a", 5), takes("b", 7); a != 5 || b != 7 {
			t.Errorf("%d and %d at once", a, b)
		}
		time.Sleep(400 * time.Millisecond)
		if n := takes("a", 5); n != 2 {
			t.Errorf("%d in 400 ms", n)
		}
		time.Sleep(2 * time.Second)
		if n := takes("a", 20); n < 5 || n > 20 {
			t.Errorf("%d after the rate was raised", n)
		}
		time.Sleep(2 * time.Second)
		if n := takes("a", 20); n != 20 {
			t.Errorf("%d of the new rate", n)
		}
	})
}
