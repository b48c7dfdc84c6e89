package peer

// Mine tells whether the work named by key is rather for this peer than for others, and how
// many peers are alive. All peers that see the same ones alive agree.
func (p *Peer) Mine(key string) (mine bool, alive int) {
	view := p.monitor.View()
	return view.Mine([]byte(key)), len(view.Live())
}

// Others is how many other peers the cluster has, dead ones included.
func (p *Peer) Others() int {
	view := p.monitor.View()
	n := 0
	for _, other := range view.Peers {
		if other.ID != view.Self && !other.Removed {
			n++
		}
	}
	return n
}
