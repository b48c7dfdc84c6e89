//go:build !race

package service

// underRace says that the test binary checks for data races.
const underRace = false
