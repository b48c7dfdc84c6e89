package audit

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Part is a piece of a writer's records that is kept in one place: a file, or a partition of
// a table.
type Part struct {
	Writer string
	// Name is what problems call it.
	Name string
	// First is the number of its first record, or 0 if Lines gives the numbers of records.
	First int64
	// Lines calls line with each line without its end, and with its number: of the line, from
	// 1 on, or of the record by its place. It ends with an error of line.
	Lines func(line func(text []byte, number int) error) error
}

// Files returns the files of all writers in a directory, as VerifyParts and SearchParts take
// them.
func Files(dir string) ([]Part, error) {
	all, err := segments(dir)
	return partsOf(all), err
}

// partsOf returns the parts that are files.
func partsOf(all []segment) []Part {
	parts := make([]Part, len(all))
	for i, s := range all {
		parts[i] = Part{Writer: s.writer, Name: filepath.Base(s.path), First: s.first, Lines: func(line func([]byte, int) error) error {
			return readLines(s.path, func(text []byte, number int, _ int64) error { return line(text, number) })
		}}
	}
	return parts
}

// segment is one file of a writer: <writer>.<number of its first record>.jsonl
type segment struct {
	path   string
	writer string
	first  int64
}

const segmentExt = ".jsonl"

func segmentPath(dir, writer string, first int64) string {
	return filepath.Join(dir, fmt.Sprintf("%s.%016d%s", writer, first, segmentExt))
}

// segments returns the files of all writers in a directory, by writer and number. Other
// files are left alone.
func segments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the audit records: %w", err)
	}
	var found []segment
	for _, entry := range entries {
		base, ok := strings.CutSuffix(entry.Name(), segmentExt)
		writer, number, dot := strings.Cut(base, ".")
		first, err := strconv.ParseInt(number, 10, 64)
		if !ok || !dot || err != nil || len(number) != 16 || first < 1 || checkWriter(writer) != nil {
			continue
		}
		found = append(found, segment{filepath.Join(dir, entry.Name()), writer, first})
	}
	slices.SortFunc(found, func(a, b segment) int {
		if a.writer != b.writer {
			return strings.Compare(a.writer, b.writer)
		}
		return cmp.Compare(a.first, b.first)
	})
	return found, nil
}

// segmentsOf returns those of one writer.
func segmentsOf(dir, writer string) ([]segment, error) {
	all, err := segments(dir)
	return slices.DeleteFunc(all, func(s segment) bool { return s.writer != writer }), err
}

var (
	errTorn = errors.New("the last line is not complete")
	errLong = fmt.Errorf("a line has more than %d bytes", MaxLine)
)

// readLines calls line with each line of a file without its end, its number from 1 and
// the offset where it begins. A last line without an end is errTorn.
func readLines(path string, line func(text []byte, number int, offset int64) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	reader := bufio.NewReaderSize(f, MaxLine)
	offset := int64(0)
	for number := 1; ; number++ {
		text, err := reader.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(text) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return errTorn
		case errors.Is(err, bufio.ErrBufferFull):
			return errLong
		case err != nil:
			return err
		}
		if err := line(text[:len(text)-1], number, offset); err != nil {
			return err
		}
		offset += int64(len(text))
	}
}

// endOf reads a segment as far as it is a chain and returns its end, zero without a
// record, how much of the file that is, and why the rest is not, nil if there is none.
func endOf(s segment) (at End, size int64, err error) {
	err = readLines(s.path, func(text []byte, number int, offset int64) error {
		next, err := at.next(s.writer, text)
		if err == nil && number == 1 && next.seq != s.first {
			err = fmt.Errorf("it is record %d, and the name of the file says %d", next.seq, s.first)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		at, size = next, offset+int64(len(text))+1
		return nil
	})
	return at, size, err
}
