package scyllaface

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/datastax/go-cassandra-native-protocol/primitive"
)

// lwtMark is the bit in the flags of a prepared statement's metadata that
// marks it as conditional.
const lwtMark = 1 << 31

// The flags of result metadata that are looked at.
const (
	globalSpec = 1
	morePages  = 2
	noMetadata = 4
)

// resultKind returns what sort of RESULT a body is. The cursor stands behind
// it then.
func resultKind(flags primitive.HeaderFlag, body []byte) (primitive.ResultType, *cursor, error) {
	c := &cursor{body: body}
	c.envelope(flags, true)
	kind := primitive.ResultType(uint32(c.int()))
	return kind, c, c.err
}

// prepared reads the identifier of a statement from the answer to PREPARE and
// sets the LWT mark if told to. The cursor stands behind the kind.
func prepared(c *cursor, mark bool) (id string, err error) {
	id = string(c.string())
	metadata := c.next(4)
	if c.err != nil {
		return "", c.err
	}
	if mark {
		flags := binary.BigEndian.Uint32(metadata)
		binary.BigEndian.PutUint32(metadata, flags|lwtMark)
	}
	return id, nil
}

// resultColumn is a column of an answer with rows.
type resultColumn struct {
	name string
	kind primitive.DataTypeCode
}

// rows calls visit for each value of an answer with rows. The value is a part
// of the body; from is where its length begins. The cursor stands behind the
// kind.
func rows(c *cursor, visit func(column resultColumn, from int, value []byte) error) error {
	flags, count := c.int(), c.int()
	if flags&morePages != 0 {
		c.value()
	}
	if flags&noMetadata != 0 {
		return errors.New("the rows come without the names of their columns")
	}
	if flags&globalSpec != 0 {
		c.string()
		c.string()
	}
	var columns []resultColumn
	for i := 0; i < count && c.err == nil; i++ {
		if flags&globalSpec == 0 {
			c.string()
			c.string()
		}
		name := string(c.string())
		columns = append(columns, resultColumn{name, c.dataType(0)})
	}
	lines := c.int()
	for i := 0; i < lines && len(columns) > 0; i++ {
		for _, column := range columns {
			from := c.at
			value := c.value()
			if c.err != nil {
				return c.err
			}
			if err := visit(column, from, value); err != nil {
				return err
			}
		}
	}
	return c.err
}

// maxNesting is how deep types are read: Cassandra's own tables have depth 2.
const maxNesting = 16

// dataType reads [option], the type of a column.
func (c *cursor) dataType(depth int) primitive.DataTypeCode {
	if depth > maxNesting && c.err == nil {
		c.err = fmt.Errorf("a type is nested more than %d deep", maxNesting)
	}
	if c.err != nil {
		return 0
	}
	code := primitive.DataTypeCode(c.short())
	switch code {
	case primitive.DataTypeCodeCustom:
		c.string()
	case primitive.DataTypeCodeList, primitive.DataTypeCodeSet:
		c.dataType(depth + 1)
	case primitive.DataTypeCodeMap:
		c.dataType(depth + 1)
		c.dataType(depth + 1)
	case primitive.DataTypeCodeTuple:
		for n := c.short(); n > 0 && c.err == nil; n-- {
			c.dataType(depth + 1)
		}
	case primitive.DataTypeCodeUdt:
		c.string()
		c.string()
		for n := c.short(); n > 0 && c.err == nil; n-- {
			c.string()
			c.dataType(depth + 1)
		}
	}
	return code
}

// translator returns the address that the face has for one of Cassandra's.
type translator func(netip.Addr) (netip.Addr, bool)

// in replaces an IPv4 address in place.
func (t translator) in(address []byte) error {
	a, ok := netip.AddrFromSlice(address)
	if !ok || !a.Is4() {
		return fmt.Errorf("%x is not an IPv4 address", address)
	}
	shown, ok := t(a)
	if !ok {
		return fmt.Errorf("the face does not stand before the node %s, which Cassandra names: name all nodes in CQL_HOSTS", a)
	}
	b := shown.As4()
	copy(address, b[:])
	return nil
}

// translateRows replaces the addresses in rows. The cursor stands behind the
// kind.
func translateRows(c *cursor, translate translator) error {
	return rows(c, func(column resultColumn, _ int, value []byte) error {
		if column.kind != primitive.DataTypeCodeInet || len(value) == 0 {
			return nil
		}
		if err := translate.in(value); err != nil {
			return fmt.Errorf("column %s: %w", column.name, err)
		}
		return nil
	})
}

// nullTablets returns a body whose values of initial_tablets are null. The
// cursor stands behind the kind.
func nullTablets(c *cursor) ([]byte, error) {
	var out []byte
	at := 0
	err := rows(c, func(column resultColumn, from int, _ []byte) error {
		if column.name == "initial_tablets" {
			out = append(out, c.body[at:from]...)
			out = binary.BigEndian.AppendUint32(out, ^uint32(0)) // length -1
			at = c.at
		}
		return nil
	})
	return append(out, c.body[at:]...), err
}

// translateEvent replaces the address in an event. It reports false for an
// event of a node that the face does not know.
func translateEvent(flags primitive.HeaderFlag, body []byte, translate translator, port int) (known bool, err error) {
	c := &cursor{body: body}
	c.envelope(flags, true)
	switch primitive.EventType(c.string()) {
	case primitive.EventTypeStatusChange, primitive.EventTypeTopologyChange:
	default:
		return true, c.err
	}
	c.string()
	address := c.next(int(c.byte()))
	eventPort := c.next(4)
	if c.err != nil {
		return false, c.err
	}
	if translate.in(address) != nil {
		return false, nil
	}
	binary.BigEndian.PutUint32(eventPort, uint32(port))
	return true, nil
}
