package service

import "context"

// each calls f with everything that list sends, until f fails. list closes its
// channel, and ends when its context does, as the List of a store.
func each[T any](ctx context.Context, list func(context.Context, chan<- T) error, f func(T) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	items := make(chan T, 1024)
	listed := make(chan error, 1)
	go func() { listed <- list(ctx, items) }()
	var failed error
	for item := range items {
		if failed != nil {
			continue // until list has noticed that ctx ended
		}
		if failed = f(item); failed != nil {
			cancel()
		}
	}
	if err := <-listed; failed == nil {
		return err
	}
	return failed
}
