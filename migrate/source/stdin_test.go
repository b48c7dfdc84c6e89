package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// TestStdinThatStallsEndsWithItsCaller, wherever it stalls and however it is packed.
func TestStdinThatStallsEndsWithItsCaller(t *testing.T) {
	text, _ := exportOf(t, samplePins(t, 200))
	for name, begin := range map[string][]byte{
		"at once": nil, "plain": text, "in a line": text[:len(text)-9], "gzip": gz(t, text)[:len(gz(t, text))/2], "zstd": zst(t, text)[:len(zst(t, text))/2],
	} {
		t.Run(name, func(t *testing.T) {
			in, producer := io.Pipe()
			defer producer.Close()
			s, err := Open(t.Context(), "export:-", Options{Stdin: in})
			ok(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				_, _ = producer.Write(begin) // it returns when all of it was read
				cancel()
			}()
			err = s.Read(ctx, Position{}, func(Record) error { return nil }, func(Bad) error { return nil })
			if !errors.Is(err, context.Canceled) || err.Error() != context.Canceled.Error() {
				t.Errorf("got %v", err)
			}
			if err := s.Read(t.Context(), Position{}, nil, nil); !errors.Is(err, ErrReadOnce) {
				t.Errorf("read again: %v", err)
			}
		})
	}
}

// TestReadUnderLosesNothing, in whatever pieces it comes and is asked for.
func TestReadUnderLosesNothing(t *testing.T) {
	want := make([]byte, 3*bufferSize+17)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(want)
	for name, in := range map[string]io.Reader{
		"whole": bytes.NewReader(want), "halves": iotest.HalfReader(bytes.NewReader(want)),
		"with the end": iotest.DataErrReader(bytes.NewReader(want)), "one byte at first": io.MultiReader(iotest.OneByteReader(bytes.NewReader(want[:1000])), bytes.NewReader(want[1000:])),
	} {
		got, err := io.ReadAll(iotest.HalfReader(readUnder(t.Context(), in)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(want), err)
		}
	}
	ok(t, iotest.TestReader(readUnder(t.Context(), bytes.NewReader(want)), want))
	_, err := io.ReadAll(readUnder(t.Context(), iotest.ErrReader(errStop)))
	if !errors.Is(err, errStop) {
		t.Errorf("got %v", err)
	}
}

// TestReadUnderEndsItsGoroutine when nobody asks for the next piece.
func TestReadUnderEndsItsGoroutine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	pieces := make(chan piece)
	go func() {
		handOver(ctx, bytes.NewReader(make([]byte, 10*bufferSize)), pieces)
		close(done)
	}()
	<-pieces
	cancel()
	<-done
}
