// Package limits keeps one client of the gateway from using up what is for all: Rates
// bounds how often something may be done.
//
// What is promised of Rates: whoever uses one key does no more than Burst at once and
// PerSecond on average, however many other keys are used meanwhile. A bucket is
// forgotten only when it is full again, that is, when it is the same as a new one.
//
// What an attacker cannot do: make it grow beyond its bounds, by as many keys as they
// like; get a new bucket by having their own pushed out; or take the
// bucket of a client who is active. Keys that find no room share a fixed number of
// buckets, which nobody chooses. So whoever comes with more than Size keys before their
// buckets are full again, which takes Burst/PerSecond, takes from other new keys what
// those would have been allowed, but from no key that has its bucket. That is why each
// kind of key is to have Rates of its own: addresses cost nothing in IPv6, while
// principals and tenants are made by an administrator.
//
// All of it may be used by any number of goroutines at once.
package limits
