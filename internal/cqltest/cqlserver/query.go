package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// runQuery prints the rows of a query, each column on a line of its own: pin
// rows are too wide for a table on a terminal.
func runQuery(ctx context.Context, statement string) error {
	if os.Getenv("CQL_HOSTS") == "" {
		s, err := alive()
		if errors.Is(err, fs.ErrNotExist) {
			return errors.New("CQL_HOSTS is not set and no server of make cql-up runs here")
		}
		if err != nil {
			return err
		}
		if err := os.Setenv("CQL_HOSTS", s.Hosts); err != nil {
			return fmt.Errorf("set CQL_HOSTS: %w", err)
		}
	}
	e, err := engine.Start(ctx, engine.Options{}) // the one of CQL_HOSTS
	if err != nil {
		return err
	}
	session, err := engine.AdminConfig(e.Hosts(), e.Port(), false).CreateSession()
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer session.Close()
	iter := session.Query(statement).WithContext(ctx).Iter()
	columns, row, err := newRow(iter)
	if err != nil {
		return err
	}
	width := 0
	for _, c := range columns {
		width = max(width, len(c))
	}
	rows := 0
	for iter.Scan(row...) {
		rows++
		for i, c := range columns {
			fmt.Printf("  %-*s  %s\n", width, c, cell(row[i]))
		}
		fmt.Println("  " + strings.Repeat("-", width))
	}
	if err := iter.Close(); err != nil {
		return fmt.Errorf("query: %w", err)
	}
	fmt.Printf("  %d rows\n", rows)
	return nil
}

// newRow returns the columns, those of a tuple one by one, and a destination for
// each. That is a pointer to a pointer, which Scan sets to nil for null.
func newRow(iter *gocql.Iter) (columns []string, row []any, err error) {
	data, err := iter.RowData()
	if err != nil {
		return nil, nil, fmt.Errorf("query: %w", err)
	}
	row = make([]any, len(data.Values))
	for i, v := range data.Values {
		row[i] = reflect.New(reflect.TypeOf(v)).Interface()
	}
	return data.Columns, row, nil
}

// maxBlob is how many bytes of a blob are shown.
const maxBlob = 40

// cell formats the value that Scan stored in an element of newRow; blobs as
// cqlsh does, cut.
func cell(dest any) string {
	p := reflect.ValueOf(dest).Elem()
	if p.IsNil() {
		return "null"
	}
	v := p.Elem().Interface()
	switch b, ok := v.([]byte); {
	case !ok:
		return fmt.Sprint(v)
	case len(b) > maxBlob:
		return fmt.Sprintf("0x%x… (%d bytes)", b[:maxBlob], len(b))
	default:
		return fmt.Sprintf("0x%x", b)
	}
}
