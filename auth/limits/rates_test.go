package limits

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func newRates(t *testing.T, config RatesConfig) *Rates {
	t.Helper()
	r, err := NewRates(config)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// taken is how often in a row something can be taken with a key.
func taken(r *Rates, key string) (n int) {
	for {
		if _, ok := r.Take(key); !ok {
			return n
		}
		n++
	}
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRates(t, RatesConfig{PerSecond: 2, Burst: 3})
		if n := taken(r, "a"); n != 3 {
			t.Errorf("%d at once", n)
		}
		retry, ok := r.Take("a")
		if look, lookOK := r.Look("a"); ok || lookOK || retry != time.Second/2 || look != retry {
			t.Errorf("the next after %v, %v", retry, look)
		}
		if n := taken(r, "b"); n != 3 {
			t.Errorf("%d at once with another key", n)
		}
		time.Sleep(retry - 1)
		if _, ok := r.Take("a"); ok {
			t.Error("it was allowed too early")
		}
		time.Sleep(time.Nanosecond)
		if retry, ok := r.Look("a"); !ok || retry != 0 {
			t.Error("it would not be allowed when it was said to be")
		}
		if n := taken(r, "a"); n != 1 {
			t.Errorf("%d after %v", n, retry)
		}
		time.Sleep(time.Hour)
		if n := taken(r, "a"); n != 3 {
			t.Errorf("%d at once after an hour", n)
		}
	})
}

// What is said of when to try again is right whatever the rate.
func TestRatesRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, rate := range []float64{1e-6, 0.3, 1, 7, 333, 1e6} {
			r := newRates(t, RatesConfig{PerSecond: rate, Burst: 5})
			taken(r, "a")
			for range 50 {
				retry, ok := r.Take("a")
				if ok || retry <= 0 {
					t.Fatalf("%v per second: %v %v", rate, retry, ok)
				}
				time.Sleep(retry)
				if _, ok := r.Take("a"); !ok {
					t.Fatalf("%v per second: it was not allowed after %v", rate, retry)
				}
			}
		}
	})
}

func TestRatesLookTakesNothing(t *testing.T) {
	r := newRates(t, RatesConfig{PerSecond: 1e-6, Burst: 2})
	for range 10 {
		if _, ok := r.Look("a"); !ok {
			t.Fatal("not allowed")
		}
	}
	if r.own.Len() != 0 {
		t.Error("a look made a bucket")
	}
	if n := taken(r, "a"); n != 2 {
		t.Error(n)
	}
}

// An attacker with any number of keys neither pushes out a client who is active nor
// gets a new bucket for a key of their own, and nothing grows.
func TestRatesUnderAttack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 100
		r := newRates(t, RatesConfig{PerSecond: 1, Burst: 10, Size: size})
		taken(r, "client")
		taken(r, "attacker")
		allowed := 0
		for i := range 100_000 {
			if _, ok := r.Take(fmt.Sprint("key ", i)); ok {
				allowed++
			}
		}
		if most := size + shares*10; allowed > most {
			t.Errorf("%d were allowed with new keys, more than %d", allowed, most)
		}
		if r.own.Len() > size {
			t.Errorf("%d buckets", r.own.Len())
		}
		for _, key := range []string{"client", "attacker"} {
			if n := taken(r, key); n != 0 {
				t.Errorf("%s was allowed %d more", key, n)
			}
		}
		for second := range 60 { // the attack goes on
			time.Sleep(time.Second)
			if n := taken(r, "client"); n != 1 {
				t.Fatalf("the client was allowed %d in second %d", n, second)
			}
			for i := range 1000 {
				r.Take(fmt.Sprint("key ", second, i))
			}
		}
		time.Sleep(11 * time.Second) // and ends
		for i := range size {
			if n := taken(r, fmt.Sprint("new ", i)); n != 10 {
				t.Fatalf("new client %d was allowed %d", i, n)
			}
		}
	})
}

// Whatever the others do, a key never gets more than its burst and its rate, also when
// it goes from a shared bucket to one of its own and back.
func TestRatesHoldForEachKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst = 5
		r := newRates(t, RatesConfig{PerSecond: 1, Burst: burst, Size: 2})
		start := time.Now()
		total := make(map[string]int)
		for step := range 2000 {
			for k := range 3 + step/500 { // more keys than there is room for
				key := fmt.Sprint(k)
				if (step/(7+k))%2 == 0 {
					total[key] += taken(r, key)
				}
				if most := burst + int(time.Since(start).Seconds()); total[key] > most {
					t.Fatalf("step %d: key %s was allowed %d, more than %d", step, key, total[key], most)
				}
			}
			time.Sleep(700 * time.Millisecond)
		}
	})
}

// A long name takes no more room than a short one.
func TestRatesKeepNoNames(t *testing.T) {
	r := newRates(t, RatesConfig{PerSecond: 1, Burst: 1, Size: 10})
	long := strings.Repeat("x", 1<<20)
	if n := taken(r, long+"1") + taken(r, long+"2"); n != 2 {
		t.Error(n)
	}
	if key := r.own.Keys()[0]; reflect.TypeOf(key).Kind() != reflect.Uint64 {
		t.Errorf("the key is kept as %v", key)
	}
}

func TestRatesByMany(t *testing.T) {
	r := newRates(t, RatesConfig{PerSecond: 1e-6, Burst: 100, Size: 4})
	var mu sync.Mutex
	total := 0
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			n := taken(r, "a")
			for i := range 100 {
				r.Look("a")
				r.Take(fmt.Sprint(i))
			}
			mu.Lock()
			defer mu.Unlock()
			total += n
		})
	}
	all.Wait()
	if total != 100 {
		t.Errorf("%d were allowed", total)
	}
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.77":              "192.0.2.0/24",
		"::ffff:192.0.2.78":       "192.0.2.0/24",
		"2001:db8:1:2:3:4:5:6":    "2001:db8:1:2::/64",
		"fe80::1:2:3:4%eth0":      "fe80::/64",
		"2001:db8:1:2:ffff::":     "2001:db8:1:2::/64",
		"::ffff:255.255.255.255":  "255.255.255.0/24",
		"64:ff9b::c000:24d%other": "64:ff9b::/64",
	} {
		if got := Network(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is in %s, want %s", addr, got, want)
		}
	}
	if got := Network(netip.Addr{}); got != "unknown" {
		t.Error(got)
	}
}

func TestRatesThatAreNoLimit(t *testing.T) {
	for _, config := range []RatesConfig{
		{PerSecond: 0, Burst: 1}, {PerSecond: -1, Burst: 1}, {PerSecond: 1}, {PerSecond: math.NaN(), Burst: 1},
		{PerSecond: math.Inf(1), Burst: 1}, {PerSecond: 1e-9, Burst: 1}, {PerSecond: 1, Burst: 1, Size: -1},
	} {
		if _, err := NewRates(config); err == nil {
			t.Errorf("%+v was accepted", config)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	r, err := NewRates(RatesConfig{PerSecond: 1e6, Burst: 1e6})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r.Take("tenant")
	}
}
