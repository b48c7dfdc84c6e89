package scyllaface

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/datastax/go-cassandra-native-protocol/message"
	"github.com/datastax/go-cassandra-native-protocol/primitive"
)

// checkBackend asks the first node what it is. A face before a face, or before
// ScyllaDB, would show nothing that can be relied on.
func (f *Face) checkBackend(ctx context.Context) error {
	backend := f.nodes[0].backend.String()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", backend)
	if err != nil {
		return fmt.Errorf("connect the face to Cassandra: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("connect the face to Cassandra: %w", err)
		}
	}
	ask, err := newFrame(0, &message.Options{})
	if err != nil {
		return err
	}
	if err := writeFrame(conn, ask); err != nil {
		return fmt.Errorf("ask %s what it is: %w", backend, err)
	}
	answer, err := readFrame(conn)
	if err != nil {
		return fmt.Errorf("ask %s what it is: %w", backend, err)
	}
	if answer.op != primitive.OpCodeSupported {
		return fmt.Errorf("%s answers OPTIONS with %s: is it a Cassandra?", backend, answer.op)
	}
	options, err := primitive.ReadStringMultiMap(bytes.NewReader(answer.body))
	if err != nil {
		return fmt.Errorf("ask %s what it is: %w", backend, err)
	}
	for option := range options {
		if strings.HasPrefix(option, "SCYLLA_") {
			return fmt.Errorf("%s offers %s: a face belongs before Apache Cassandra, which DEMO_ENGINE=cassandra starts", backend, option)
		}
	}
	return nil
}
