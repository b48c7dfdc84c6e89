package pins

import "context"

// Worker makes the cluster hold what is claimed, and requests say what it does. Each
// instance has one.
type Worker struct {
	service *Service
	peer    Peer
	conf    WorkerConfig
}

// WorkerConfig are the settings of a Worker. Zero means the default.
type WorkerConfig struct {
	// Parallel is how many CIDs are worked on at a time: 16.
	Parallel int
	// DefaultMin and DefaultMax are the replication that the cluster gives to a pin that
	// asks for none, if that is known. A request for 0 counts as one for so many beside
	// others for the same CID.
	DefaultMin, DefaultMax int
}

// NewWorker returns a worker for the requests of s.
func NewWorker(s *Service, peer Peer, conf WorkerConfig) *Worker {
	return &Worker{service: s, peer: peer, conf: conf}
}

// Run works until ctx ends. It is called once. It fails only by the end of ctx: while the
// peer or the database does not answer, it tries again.
func (w *Worker) Run(ctx context.Context) error { return ctx.Err() }

// Touch says that something may have become of a CID, such as by an event. It does not
// wait. What it cannot remember, for want of room, the status of a request shows later.
func (w *Worker) Touch(cid string) {}
