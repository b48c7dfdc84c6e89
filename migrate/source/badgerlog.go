package source

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
)

// logHeader is how many bytes are before the first entry of a log of badger 3:
// the number of a key of encryption, and where that begins.
const logHeader = 20

// Bits of the first byte of an entry.
const (
	inTransaction   = 1 << 6
	endsTransaction = 1 << 7
)

// Bounds of an entry. Every key ends in the time of its transaction.
const (
	longestKey   = 1 << 16
	longestValue = 1 << 30
	timeOfKey    = 8
)

// isLog says whether a file of either badger is a value log.
func isLog(name string) bool { return strings.HasSuffix(name, ".vlog") }

// wholeLog returns how long the used part of a log of badger 3 is. A log is
// longer than that as long as its peer runs, and stays so if that is killed;
// badger does not open such a log read only, although it could. If there is
// more behind the last entry, or transaction, that is whole, the error is
// unclean: badger would cut it off.
func wholeLog(r io.Reader) (int64, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	header := make([]byte, logHeader)
	if _, err := io.ReadFull(in, header); isEnd(err) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	if binary.BigEndian.Uint64(header) != 0 {
		return 0, errors.New("it is encrypted, which no ipfs-cluster does")
	}
	end := int64(logHeader)
	var transaction uint64
	for {
		if start, err := in.Peek(2); isEnd(err) || err == nil && start[0] == 0 && start[1] == 0 {
			return end, restIsEmpty(in, transaction != 0)
		} else if err != nil {
			return 0, err
		}
		e, err := readLogEntry(in)
		if isEnd(err) || errors.Is(err, errNoEntry) {
			return 0, &unclean{errors.New("the last entry of a log is not whole")}
		}
		if err != nil {
			return 0, err
		}
		if transaction, err = e.follow(transaction); err != nil {
			return 0, err
		}
		end += e.size
	}
}

// restIsEmpty makes sure that only zeros follow, and no transaction is open.
func restIsEmpty(in *bufio.Reader, open bool) error {
	for {
		b, err := in.ReadByte()
		switch {
		case isEnd(err) && !open:
			return nil
		case err != nil && !isEnd(err):
			return err
		case err != nil || b != 0:
			return &unclean{errors.New("the last transaction of a log is not whole")}
		}
	}
}

// follow returns the transaction that is open behind an entry, or 0, when that
// one was open before it.
func (e logEntry) follow(transaction uint64) (uint64, error) {
	broken := &unclean{errors.New("a transaction of a log is not whole")}
	switch {
	case e.meta&inTransaction != 0:
		if len(e.key) <= timeOfKey {
			return 0, broken
		}
		at := ^binary.BigEndian.Uint64(e.key[len(e.key)-timeOfKey:])
		if transaction != 0 && transaction != at {
			return 0, broken
		}
		return at, nil
	case e.meta&endsTransaction != 0:
		at, err := strconv.ParseUint(string(e.value), 10, 64)
		if err != nil || at != transaction {
			return 0, broken
		}
		return 0, nil
	case transaction != 0:
		return 0, broken
	}
	return 0, nil
}

// errNoEntry says that there is no whole entry.
var errNoEntry = errors.New("no entry")

type logEntry struct {
	meta       byte
	key, value []byte
	size       int64
}

// readLogEntry reads an entry: two bytes, three varints (the lengths of key and
// value, and when it expires), key, value and a checksum of all that.
func readLogEntry(in *bufio.Reader) (logEntry, error) {
	sum := &summed{in: in, crc: crc32.New(crc32.MakeTable(crc32.Castagnoli))}
	var e logEntry
	var err error
	if e.meta, err = sum.ReadByte(); err != nil {
		return e, err
	}
	if _, err = sum.ReadByte(); err != nil {
		return e, err
	}
	var numbers [3]uint64
	for i := range numbers {
		if numbers[i], err = binary.ReadUvarint(sum); err != nil {
			if isEnd(err) {
				return e, err
			}
			return e, errNoEntry
		}
	}
	if numbers[0] == 0 || numbers[0] > longestKey || numbers[1] > longestValue {
		return e, errNoEntry
	}
	if e.key, err = sum.next(int64(numbers[0])); err != nil {
		return e, err
	}
	if e.value, err = sum.next(int64(numbers[1])); err != nil {
		return e, err
	}
	want := make([]byte, crc32.Size)
	if _, err := io.ReadFull(in, want); err != nil {
		return e, err
	}
	if binary.BigEndian.Uint32(want) != sum.crc.Sum32() {
		return e, errNoEntry
	}
	e.size = sum.n + crc32.Size
	return e, nil
}

// summed reads and computes the checksum of what it reads.
type summed struct {
	in  *bufio.Reader
	crc hash.Hash32
	n   int64
}

// ReadByte is for the lengths, which are varints.
func (s *summed) ReadByte() (byte, error) {
	b, err := s.in.ReadByte()
	if err != nil {
		return 0, err
	}
	s.n++
	_, err = s.crc.Write([]byte{b})
	return b, err
}

// next reads n bytes. A length that is damaged costs no more than the file has.
func (s *summed) next(n int64) ([]byte, error) {
	var b bytes.Buffer
	read, err := io.CopyN(io.MultiWriter(&b, s.crc), s.in, n)
	s.n += read
	return b.Bytes(), err
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
