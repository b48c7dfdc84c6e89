package source

import (
	"context"
	"io"
)

// patient reads what may never come: a Read ends with its context.
type patient struct {
	ctx    context.Context
	pieces <-chan piece
	last   piece
}

// piece is what one Read has returned.
type piece struct {
	text []byte
	err  error
}

// readUnder reads under a context. It must end for all that this begins to be released.
// A read that waits at that moment goes on until something comes or the process ends,
// as nothing can stop it.
func readUnder(ctx context.Context, in io.Reader) *patient {
	pieces := make(chan piece)
	go handOver(ctx, in, pieces)
	return &patient{ctx: ctx, pieces: pieces}
}

// handOver reads one piece while the one before is used, in a buffer of its own.
func handOver(ctx context.Context, in io.Reader, pieces chan<- piece) {
	var buffers [2][]byte
	for i := 0; ; i = 1 - i {
		if buffers[i] == nil {
			buffers[i] = make([]byte, bufferSize)
		}
		n, err := in.Read(buffers[i])
		select {
		case pieces <- piece{buffers[i][:n], err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (p *patient) Read(b []byte) (int, error) {
	if len(p.last.text) == 0 && p.last.err == nil {
		select {
		case p.last = <-p.pieces:
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		}
	}
	n := copy(b, p.last.text)
	p.last.text = p.last.text[n:]
	if len(p.last.text) > 0 {
		return n, nil
	}
	return n, p.last.err
}
