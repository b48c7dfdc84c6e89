package scyllaface

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/datastax/go-cassandra-native-protocol/message"
	"github.com/datastax/go-cassandra-native-protocol/primitive"
)

// The flags of QUERY and EXECUTE that are looked at.
const (
	withValues   = 0x01
	skipMetadata = 0x02
	withNames    = 0x40
)

// request changes a frame of the client into what Cassandra shall get. If it
// returns a message that is the answer and Cassandra gets nothing.
func (c *conn) request(f *frame) message.Message {
	switch {
	case f.version != version:
		return &message.ProtocolError{ErrorMessage: fmt.Sprintf("Invalid or unsupported protocol version (%d); the lowest supported version is %d and the greatest is %d", f.version, version, version)}
	case f.flags.Contains(primitive.HeaderFlagCompressed):
		return &message.ProtocolError{ErrorMessage: "a frame is compressed, and no compression was agreed on"}
	}
	p := pending{op: f.op}
	var requests []Request
	var refused message.Message
	in := &cursor{body: f.body}
	in.envelope(f.flags, false)
	switch f.op {
	case primitive.OpCodeStartup:
		refused = c.startup(in)
	case primitive.OpCodeAuthResponse:
		c.login(in.value())
	case primitive.OpCodeRegister:
		c.mu.Lock()
		c.events = true
		c.mu.Unlock()
	case primitive.OpCodeQuery, primitive.OpCodePrepare:
		op := Query
		if f.op == primitive.OpCodePrepare {
			op = Prepare
		}
		from := in.at
		cql := string(in.longString())
		if in.err != nil {
			break
		}
		if p.statement, refused = c.translate(cql); refused != nil {
			break
		}
		rest := f.body[in.at:]
		out := binary.BigEndian.AppendUint32(slices.Clone(f.body[:from]), uint32(len(p.statement.cassandra)))
		out = append(out, p.statement.cassandra...)
		in = &cursor{body: append(out, rest...), at: len(out)}
		f.body = in.body
		counted := c.counted(op, p.statement)
		if op == Query {
			counted.Consistency, p.keyspace = askFor(in, p.statement)
		}
		requests = append(requests, counted)
	case primitive.OpCodeExecute:
		id := in.string()
		if in.err != nil {
			break
		}
		if p.statement, refused = c.executed(id); refused != nil {
			break
		}
		counted := c.counted(Execute, p.statement)
		counted.Consistency, p.keyspace = askFor(in, p.statement)
		requests = append(requests, counted)
	case primitive.OpCodeBatch:
		requests, refused = c.batch(f, in)
	}
	if in.err != nil {
		return &message.ProtocolError{ErrorMessage: fmt.Sprintf("%s: %s", f.op, in.err)}
	}
	if refused != nil {
		return refused
	}
	p.cut = c.node.arrived(requests)
	c.mu.Lock()
	c.pending[f.stream] = p
	c.mu.Unlock()
	return nil
}

func (c *conn) startup(in *cursor) message.Message {
	options, err := primitive.ReadStringMap(bytes.NewReader(in.body[in.at:]))
	if err != nil {
		return &message.ProtocolError{ErrorMessage: "STARTUP: " + err.Error()}
	}
	if name, ok := options["COMPRESSION"]; ok {
		return &message.ProtocolError{ErrorMessage: "Unknown compression algorithm: " + name}
	}
	_, mark := options["SCYLLA_LWT_ADD_METADATA_MARK"]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lwtMark = mark
	return nil
}

// login learns the role from SASL PLAIN: an identity that is left empty, the
// role and the password, divided by zero bytes. Cassandra checks it.
func (c *conn) login(token []byte) {
	if parts := bytes.Split(token, []byte{0}); len(parts) == 3 {
		c.role = string(parts[1])
	}
}

// translate returns what Cassandra shall get, if the role may ask it.
func (c *conn) translate(cql string) (*statement, message.Message) {
	c.mu.Lock()
	keyspace := c.keyspace
	c.mu.Unlock()
	s, refused := c.node.face.grammar.translate(cql, keyspace)
	if refused != nil {
		return nil, refused
	}
	return s, c.unauthorized(s)
}

// executed returns the statement that was prepared under an identifier.
func (c *conn) executed(id []byte) (*statement, message.Message) {
	s, ok := c.node.face.statement(string(id))
	if !ok {
		return nil, &message.Unprepared{ErrorMessage: fmt.Sprintf("No prepared statement with ID %x found.", id), Id: id}
	}
	return s, c.unauthorized(s)
}

// unauthorized refuses what only superusers may read. Cassandra cannot: it
// sees a SELECT from a table that all may read.
func (c *conn) unauthorized(s *statement) message.Message {
	if !s.superuser || c.role == "" || slices.Contains(c.node.face.opts.Superusers, c.role) {
		return nil
	}
	return &message.Unauthorized{ErrorMessage: fmt.Sprintf("User %s has no SELECT permission on <table %s> or any of its parents", c.role, s.table)}
}

func (c *conn) counted(op Op, s *statement) Request {
	return Request{Op: op, Statement: s.text, Conditional: s.conditional, Shard: c.Shard}
}

// askFor reads the parameters of QUERY or EXECUTE. It makes sure that rows of
// system tables come with the names of their columns, and returns the consistency
// and the keyspace that is asked for in scylla_keyspaces.
func askFor(in *cursor, s *statement) (primitive.ConsistencyLevel, string) {
	cons := primitive.ConsistencyLevel(in.short())
	flags := in.next(1)
	if in.err != nil || s.table == "" {
		return cons, ""
	}
	flags[0] &^= skipMetadata
	if s.table != "system_schema.scylla_keyspaces" || flags[0]&withValues == 0 {
		return cons, s.keyspace
	}
	in.next(2) // how many values
	if flags[0]&withNames != 0 {
		in.string()
	}
	return cons, string(in.value())
}

// batch translates the statements of a BATCH.
func (c *conn) batch(f *frame, in *cursor) ([]Request, message.Message) {
	var requests []Request
	in.next(1) // logged or not
	n := in.short()
	out := slices.Clone(f.body[:in.at])
	for ; n > 0 && in.err == nil; n-- {
		var s *statement
		var refused message.Message
		kind := in.byte()
		out = append(out, kind)
		if kind == 0 {
			cql := in.longString()
			if in.err != nil {
				break
			}
			if s, refused = c.translate(string(cql)); refused != nil {
				return nil, refused
			}
			out = binary.BigEndian.AppendUint32(out, uint32(len(s.cassandra)))
			out = append(out, s.cassandra...)
		} else {
			id := in.string()
			if in.err != nil {
				break
			}
			if s, refused = c.executed(id); refused != nil {
				return nil, refused
			}
			out = binary.BigEndian.AppendUint16(out, uint16(len(id)))
			out = append(out, id...)
		}
		requests = append(requests, c.counted(Batch, s))
		from := in.at
		for values := in.short(); values > 0 && in.err == nil; values-- {
			in.value()
		}
		out = append(out, f.body[from:in.at]...)
	}
	f.body = append(out, f.body[in.at:]...)
	return requests, nil
}
