// Package pins holds what tenants asked to be pinned.
package pins
