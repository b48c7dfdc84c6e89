package scyllaface

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/datastax/go-cassandra-native-protocol/datatype"
	protocol "github.com/datastax/go-cassandra-native-protocol/frame"
	"github.com/datastax/go-cassandra-native-protocol/message"
	"github.com/datastax/go-cassandra-native-protocol/primitive"
)

// knows translates 127.0.0.1 to 127.1.0.1 and nothing else.
func knows(a netip.Addr) (netip.Addr, bool) {
	return netip.MustParseAddr("127.1.0.1"), a == netip.MustParseAddr("127.0.0.1")
}

func encode(tb testing.TB, m message.Message, change func(*protocol.Frame)) frame {
	tb.Helper()
	f := protocol.NewFrame(version, 7, m)
	if change != nil {
		change(f)
	}
	var b bytes.Buffer
	if err := protocol.NewCodec().EncodeFrame(f, &b); err != nil {
		tb.Fatal(err)
	}
	out, err := readFrame(&b)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func decode(tb testing.TB, f frame) message.Message {
	tb.Helper()
	var b bytes.Buffer
	if err := writeFrame(&b, f); err != nil {
		tb.Fatal(err)
	}
	out, err := protocol.NewCodec().DecodeFrame(&b)
	if err != nil {
		tb.Fatal(err)
	}
	return out.Body.Message
}

// withWarning puts what may come before a message in front of it.
func withWarning(f *protocol.Frame) {
	f.SetWarnings([]string{"mind", ""})
	f.SetTracingId(&primitive.UUID{1, 2})
}

func column(name string, t datatype.DataType) *message.ColumnMetadata {
	return &message.ColumnMetadata{Keyspace: "k", Table: "t", Name: name, Type: t}
}

// sampleRows has all types of columns that have parts.
func sampleRows(address []byte) *message.RowsResult {
	udt, err := datatype.NewUserDefined("k", "u", []string{"a", "b"}, []datatype.DataType{datatype.Int, datatype.NewList(datatype.Inet)})
	if err != nil {
		panic(err)
	}
	return &message.RowsResult{
		Metadata: &message.RowsMetadata{ColumnCount: 7, PagingState: []byte("more"), Columns: []*message.ColumnMetadata{
			column("a", datatype.NewMap(datatype.Varchar, datatype.NewSet(datatype.Int))),
			column("rpc_address", datatype.Inet),
			column("b", datatype.NewTuple(datatype.Inet, datatype.Blob)),
			column("c", udt),
			column("d", datatype.NewCustom("x.y.Z")),
			column("initial_tablets", datatype.Int),
			column("peer", datatype.Inet),
		}},
		Data: message.RowSet{
			{[]byte("m"), address, address, nil, []byte("z"), {0, 0, 0, 0}, nil},
			{nil, nil, []byte("b"), []byte("c"), {}, {0, 0, 0, 0}, address},
		},
	}
}

func TestRowsAreTranslated(t *testing.T) {
	f := encode(t, sampleRows([]byte{127, 0, 0, 1}), withWarning)
	_, in, err := resultKind(f.flags, f.body)
	if err != nil {
		t.Fatal(err)
	}
	if err := translateRows(in, knows); err != nil {
		t.Fatal(err)
	}
	if in.at != len(f.body) {
		t.Errorf("read %d of %d bytes", in.at, len(f.body))
	}
	rows := decode(t, f).(*message.RowsResult)
	want := sampleRows([]byte{127, 0, 0, 1})
	want.Data[0][1] = []byte{127, 1, 0, 1}
	want.Data[1][6] = []byte{127, 1, 0, 1}
	for i, row := range want.Data {
		for j := range row {
			if !bytes.Equal(rows.Data[i][j], row[j]) || (rows.Data[i][j] == nil) != (row[j] == nil) {
				t.Errorf("row %d, column %d: %x, want %x", i, j, rows.Data[i][j], row[j])
			}
		}
	}

	f = encode(t, sampleRows([]byte{127, 0, 0, 9}), nil)
	_, in, err = resultKind(f.flags, f.body)
	if err != nil {
		t.Fatal(err)
	}
	if err := translateRows(in, knows); err == nil || !strings.Contains(err.Error(), "127.0.0.9") {
		t.Errorf("a node that the face does not know: %v", err)
	}
}

func TestTabletsBecomeNull(t *testing.T) {
	f := encode(t, sampleRows([]byte{127, 0, 0, 1}), withWarning)
	_, in, err := resultKind(f.flags, f.body)
	if err != nil {
		t.Fatal(err)
	}
	if f.body, err = nullTablets(in); err != nil {
		t.Fatal(err)
	}
	for i, row := range decode(t, f).(*message.RowsResult).Data {
		want := sampleRows([]byte{127, 0, 0, 1}).Data[i]
		want[5] = nil
		for j := range row {
			if !bytes.Equal(row[j], want[j]) || (row[j] == nil) != (want[j] == nil) {
				t.Errorf("row %d, column %d: %x, want %x", i, j, row[j], want[j])
			}
		}
	}
}

func samplePrepared() *message.PreparedResult {
	return &message.PreparedResult{
		PreparedQueryId:   []byte("0123456789abcdef"),
		VariablesMetadata: &message.VariablesMetadata{PkIndices: []uint16{0}, Columns: []*message.ColumnMetadata{column("a", datatype.Int)}},
		ResultMetadata:    &message.RowsMetadata{ColumnCount: 1, Columns: []*message.ColumnMetadata{column("b", datatype.Inet)}},
	}
}

// The mark is one bit of the flags, and nothing else changes.
func TestMark(t *testing.T) {
	for _, mark := range []bool{true, false} {
		f := encode(t, samplePrepared(), withWarning)
		before := bytes.Clone(f.body)
		_, in, err := resultKind(f.flags, f.body)
		if err != nil {
			t.Fatal(err)
		}
		id, err := prepared(in, mark)
		if err != nil || id != "0123456789abcdef" {
			t.Errorf("identifier %q, %v", id, err)
		}
		flags := bytes.Index(before, []byte(id)) + len(id)
		if mark {
			before[flags] |= 0x80
		}
		if !bytes.Equal(f.body, before) {
			t.Errorf("mark %t: got\n%x, want\n%x", mark, f.body, before)
		}
	}
}

// Marked are the conditional statements, where the client asked for it.
func TestMarkIsForWhoAsked(t *testing.T) {
	for _, tt := range []struct{ asked, conditional bool }{{true, true}, {true, false}, {false, true}} {
		c := testConn()
		options := map[string]string{"CQL_VERSION": "3.0.0"}
		if tt.asked {
			options["SCYLLA_LWT_ADD_METADATA_MARK"] = "LWT_OPTIMIZATION_META_BIT_MASK=2147483648"
		}
		start := encode(t, &message.Startup{Options: options}, nil)
		if answer := c.request(&start); answer != nil {
			t.Fatal(answer)
		}
		out, err := c.answer(encode(t, samplePrepared(), nil), pending{statement: &statement{conditional: tt.conditional}})
		if err != nil {
			t.Fatal(err)
		}
		if got := out.body[4+2+16]&0x80 != 0; got != (tt.asked && tt.conditional) {
			t.Errorf("%+v: marked %t", tt, got)
		}
	}
}

func TestEventsAreTranslated(t *testing.T) {
	for _, tt := range []struct {
		address string
		known   bool
	}{{"127.0.0.1", true}, {"127.0.0.9", false}, {"::1", false}} {
		f := encode(t, &message.StatusChangeEvent{ChangeType: primitive.StatusChangeTypeUp, Address: &primitive.Inet{Addr: net.ParseIP(tt.address), Port: 1}}, nil)
		known, err := translateEvent(f.flags, f.body, knows, 9042)
		if err != nil || known != tt.known {
			t.Errorf("%s: known %t, %v", tt.address, known, err)
		}
		if !known {
			continue
		}
		if got := decode(t, f).(*message.StatusChangeEvent).Address; got.String() != "127.1.0.1:9042" {
			t.Errorf("%s became %s", tt.address, got)
		}
	}
	f := encode(t, &message.SchemaChangeEvent{ChangeType: primitive.SchemaChangeTypeCreated, Target: primitive.SchemaChangeTargetKeyspace, Keyspace: "k"}, nil)
	if known, err := translateEvent(f.flags, f.body, knows, 9042); err != nil || !known {
		t.Errorf("an event without an address: %t, %v", known, err)
	}
}

// A request that cannot be read is answered, with no panic and no forward.
func TestRefusedRequests(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*frame)
		want   string
	}{
		"version":    {func(f *frame) { f.version = 5 }, "the lowest supported version is 4 and the greatest is 4"},
		"compressed": {func(f *frame) { f.flags |= primitive.HeaderFlagCompressed }, "compressed"},
		"cut":        {func(f *frame) { f.body = f.body[:9] }, "ends too early"},
		"length":     {func(f *frame) { f.body[0] = 0xff }, "ends too early"},
		"clause":     {func(*frame) {}, "no viable alternative"},
	} {
		f := encode(t, &message.Query{Query: "SELECT a FROM t USING TIMEOUT 3s BYPASS CACHE"}, nil)
		tt.change(&f)
		answer := testConn().request(&f)
		refused, ok := answer.(message.Error)
		if !ok || !strings.Contains(refused.GetErrorMessage(), tt.want) {
			t.Errorf("%s: %v, want %q", name, answer, tt.want)
		}
	}
	c := testConn()
	f := encode(t, &message.Execute{QueryId: []byte("unknown")}, nil)
	if _, ok := c.request(&f).(*message.Unprepared); !ok {
		t.Error("an unknown identifier was not refused")
	}
	f = encode(t, &message.Startup{Options: map[string]string{"CQL_VERSION": "3.0.0", "COMPRESSION": "lz4"}}, nil)
	if _, ok := c.request(&f).(*message.ProtocolError); !ok {
		t.Error("a compression was agreed on")
	}
}

// Only superusers read some tables, by QUERY, PREPARE or EXECUTE.
func TestTablesForSuperusers(t *testing.T) {
	for role, super := range map[string]bool{"": true, "cassandra": true, "plain": false} {
		for cql, want := range map[string]bool{
			"SELECT version FROM system.versions": super, "SELECT value FROM system.config": super,
			"SELECT rack FROM system.local": true,
		} {
			c := testConn()
			if role != "" {
				f := encode(t, &message.AuthResponse{Token: []byte("\x00" + role + "\x00secret")}, nil)
				if answer := c.request(&f); answer != nil {
					t.Fatal(answer)
				}
			}
			s, _ := c.node.face.grammar.translate(cql, "")
			c.node.face.remember("id", s)
			for _, m := range []message.Message{
				&message.Query{Query: cql}, &message.Prepare{Query: cql}, &message.Execute{QueryId: []byte("id")},
			} {
				f := encode(t, m, nil)
				_, refused := c.request(&f).(*message.Unauthorized)
				if refused == want {
					t.Errorf("role %q, %v: refused %t", role, m, refused)
				}
			}
		}
	}
}

// Rows can be changed only if they come with the names of their columns, so
// that no request for rows of system tables goes without. Others may.
func TestMetadataIsAskedFor(t *testing.T) {
	for cql, want := range map[string]bool{"SELECT * FROM system.local": false, "SELECT a FROM t": true} {
		c := testConn()
		s, refused := c.node.face.grammar.translate(cql, "k")
		if refused != nil {
			t.Fatal(refused)
		}
		c.node.face.remember("id", s)
		options := &message.QueryOptions{SkipMetadata: true, PageSize: 100}
		for _, m := range []message.Message{
			&message.Query{Query: cql, Options: options}, &message.Execute{QueryId: []byte("id"), Options: options},
		} {
			f := encode(t, m, nil)
			if answer := c.request(&f); answer != nil {
				t.Fatal(answer)
			}
			var got *message.QueryOptions
			switch m := decode(t, f).(type) {
			case *message.Query:
				got = m.Options
			case *message.Execute:
				got = m.Options
			}
			if got.SkipMetadata != want || got.PageSize != 100 {
				t.Errorf("%s, %v: %+v, want SkipMetadata %t", cql, m, got, want)
			}
		}
	}
}

// testConn is a connection without sockets.
func testConn() *conn {
	f := &Face{
		opts:     Options{}.withDefaults(),
		prepared: make(map[string]*statement),
		vnodes:   make(map[string]bool),
	}
	n := newNode(f, netip.MustParseAddrPort("127.0.0.1:9042"), 0, 0)
	f.nodes = []*Node{n}
	return newConn(n, nil, nil)
}
