package scyllaface

import "github.com/datastax/go-cassandra-native-protocol/primitive"

// answer changes a frame of Cassandra's into what the client shall get. A
// frame without version is for nobody.
func (c *conn) answer(f frame, p pending) (frame, error) {
	face := c.node.face
	switch f.op {
	case primitive.OpCodeSupported:
		return newFrame(f.stream, face.supported(c.Shard))
	case primitive.OpCodeEvent:
		known, err := translateEvent(f.flags, f.body, face.shown, cqlPort)
		if err != nil || !known {
			return frame{}, err
		}
	case primitive.OpCodeResult:
		return c.result(f, p)
	}
	return f, nil
}

func (c *conn) result(f frame, p pending) (frame, error) {
	face := c.node.face
	kind, in, err := resultKind(f.flags, f.body)
	if err != nil {
		return f, err
	}
	switch kind {
	case primitive.ResultTypeSetKeyspace:
		keyspace := string(in.string())
		c.mu.Lock()
		c.keyspace = keyspace
		c.mu.Unlock()
		return f, in.err
	case primitive.ResultTypeSchemaChange:
		if p.statement != nil && p.statement.keyspace != "" {
			face.keyspaceMade(p.statement.keyspace, p.statement.vnodes)
		}
	case primitive.ResultTypePrepared:
		if p.statement == nil {
			break
		}
		c.mu.Lock()
		mark := c.lwtMark && p.statement.conditional
		c.mu.Unlock()
		id, err := prepared(in, mark)
		if err != nil {
			return f, err
		}
		face.remember(id, p.statement)
	case primitive.ResultTypeRows:
		switch {
		case p.statement == nil || p.statement.table == "":
		case p.keyspace == "":
			return f, translateRows(in, face.shown)
		case !face.hasTablets(p.keyspace):
			f.body, err = nullTablets(in)
			return f, err
		}
	}
	return f, nil
}
