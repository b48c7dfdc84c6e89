// Package section is what service.json says of how a peer is watched: the component "admin"
// of the section "observations".
package section
