package limits

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// shares is how many buckets there are for the keys that find no room.
const shares = 256

// RatesConfig is how often something may be done with one key.
type RatesConfig struct {
	// PerSecond is how often on average, from 0.000001 to 1,000,000.
	PerSecond float64
	// Burst is how often at once, after a while without. At least 1.
	Burst int
	// Size is how many keys have a bucket of their own: 10,000 if it is 0. One takes
	// about 200 bytes, however long the key is.
	Size int
}

// Rates has a token bucket for each key: a principal, a tenant, or a network.
type Rates struct {
	config RatesConfig
	seed   maphash.Seed

	mu sync.Mutex
	// own are by the hash of the key, so that nobody's long names are kept. The last is
	// that which was taken from longest ago.
	own    *simplelru.LRU[uint64, *rate.Limiter]
	shared [shares]*rate.Limiter
}

// NewRates returns Rates of which each bucket is full.
func NewRates(config RatesConfig) (*Rates, error) {
	if config.Size == 0 {
		config.Size = 10_000
	}
	if config.Burst < 1 || config.Size < 0 || !(config.PerSecond >= 1e-6 && config.PerSecond <= 1e6) {
		return nil, fmt.Errorf("%v per second, %d at once and %d keys are no limit", config.PerSecond, config.Burst, config.Size)
	}
	own, err := simplelru.NewLRU[uint64, *rate.Limiter](config.Size, nil)
	if err != nil {
		return nil, err
	}
	r := &Rates{config: config, seed: maphash.MakeSeed(), own: own}
	for i := range r.shared {
		r.shared[i] = r.full()
	}
	return r, nil
}

// Take does it once with a key if that is allowed now. Otherwise it takes nothing, and
// returns false and how long until it is allowed, if nobody uses the key meanwhile.
func (r *Rates) Take(key string) (retry time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, hash := time.Now(), maphash.String(r.seed, key)
	bucket, there := r.own.Get(hash)
	switch {
	case there:
	case r.room(now):
		bucket = r.next(hash, now)
		r.own.Add(hash, bucket) // pushes out the last, which is full
	default:
		bucket = r.shared[hash%shares]
	}
	if bucket.AllowN(now, 1) {
		return 0, true
	}
	return r.missing(bucket, now), false
}

// Look says what Take would, and takes nothing. It is for what counts only when it goes
// wrong, such as a login: Look before it, and Take when it has failed.
func (r *Rates) Look(key string) (retry time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, hash := time.Now(), maphash.String(r.seed, key)
	bucket, there := r.own.Peek(hash)
	if !there { // what it would get has as much in it as the shared one
		bucket = r.shared[hash%shares]
	}
	retry = r.missing(bucket, now)
	return retry, retry == 0
}

// room tells whether a key can have a bucket of its own: there is a place, or the last
// one is full and says nothing.
func (r *Rates) room(now time.Time) bool {
	if r.own.Len() < r.config.Size {
		return true
	}
	_, last, _ := r.own.GetOldest()
	return last.TokensAt(now) >= float64(r.config.Burst)
}

// next returns a bucket for a key that had none. It has no more in it than the shared
// one, which the key may have used a moment ago.
func (r *Rates) next(hash uint64, now time.Time) *rate.Limiter {
	bucket := r.full()
	if used := r.config.Burst - int(max(0, r.shared[hash%shares].TokensAt(now))); used > 0 {
		bucket.AllowN(now, used)
	}
	return bucket
}

func (r *Rates) full() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(r.config.PerSecond), r.config.Burst)
}

// missing is how long until something can be taken from a bucket.
func (r *Rates) missing(bucket *rate.Limiter, now time.Time) time.Duration {
	seconds := (1 - bucket.TokensAt(now)) / r.config.PerSecond
	return max(0, time.Duration(seconds*float64(time.Second)))
}

// Network is the key of an address: that of the network which one customer of a
// provider has, /24 in IPv4 and /64 in IPv6.
func Network(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() { // all of these are one
		return "unknown"
	}
	bits := 64
	if addr.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(addr, bits).Masked().String()
}
