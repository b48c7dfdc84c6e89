package source

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// unpacked reads a file that may be packed by gzip or zstd.
type unpacked struct {
	*bufio.Reader
	packed bool
	close  func()
}

// largestWindow bounds the memory that a file packed by zstd may ask for. It is
// that of `zstd --long`.
const largestWindow = 128 << 20

// unpack looks at how a file begins. Its close ends only what it has begun.
func unpack(file io.Reader) (*unpacked, error) {
	in := bufio.NewReaderSize(file, bufferSize)
	plain := &unpacked{Reader: in, close: func() {}}
	magic, err := in.Peek(4)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, plain.explain(err)
	case len(magic) >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
		r, err := gzip.NewReader(in)
		if err != nil {
			return nil, (&unpacked{packed: true}).explain(err)
		}
		return &unpacked{Reader: bufio.NewReaderSize(r, bufferSize), packed: true, close: func() { _ = r.Close() }}, nil
	case isZstd(magic):
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(largestWindow))
		if err != nil {
			return nil, (&unpacked{packed: true}).explain(err)
		}
		return &unpacked{Reader: bufio.NewReaderSize(r, bufferSize), packed: true, close: r.Close}, nil
	}
	return plain, nil
}

// isZstd knows the beginning of a frame, also of one that is to be skipped.
func isZstd(magic []byte) bool {
	if len(magic) < 4 {
		return false
	}
	return magic[0] == 0x28 && magic[1] == 0xb5 && magic[2] == 0x2f && magic[3] == 0xfd ||
		magic[0]&0xf0 == 0x50 && magic[1] == 0x2a && magic[2] == 0x4d && magic[3] == 0x18
}

// explain says what an error in the middle of a file means.
func (u *unpacked) explain(err error) error {
	switch {
	case err == nil || errors.Is(err, errNotWhole) || isOver(err):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fmt.Errorf("the file ends in the middle of what is packed: the file is not whole: %w", err)
	case u.packed:
		return fmt.Errorf("unpacking an export: the file is damaged: %w", err)
	}
	return fmt.Errorf("reading an export: %w", err)
}

// isOver says whether an error is that of a context that has ended.
func isOver(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
