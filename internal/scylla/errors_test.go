package scylla

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gocql/gocql"
)

// TestServerErrors makes a real server refuse requests and shows what an
// operator gets to read.
func TestServerErrors(t *testing.T) {
	db := openDB(t, testConfig(t))
	far := db.Keyspace + "_far" // more replicas than nodes: nothing can be written
	create := db.Dialect.CreateKeyspace(far, map[string]int{db.LocalDC: 2*db.Nodes + 1})
	if err := db.Query(create).Exec(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Query("DROP KEYSPACE " + far).Exec() })
	if err := db.Query("CREATE TABLE " + far + ".t (k int PRIMARY KEY, v int)").Exec(); err != nil {
		t.Fatal(err)
	}
	write := "INSERT INTO " + far + ".t (k, v) VALUES (1, 1)"
	for _, tt := range []struct {
		name                string
		query               *gocql.Query
		code                int
		permanent, rejected bool
		text                string
	}{
		{"unavailable for a write", db.Query(write).Consistency(gocql.Quorum), gocql.ErrCodeUnavailable, false, false, "consistency QUORUM, required"},
		{"syntax", db.Query("SELEKT"), gocql.ErrCodeSyntax, true, true, "code 0x2000"},
		{"no such table", db.Query("SELECT * FROM nothing"), gocql.ErrCodeInvalid, true, true, "code 0x2200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := WithTrail(t.Context())
			err := tt.query.WithContext(ctx).RetryPolicy(NoRetry()).Exec()
			if err == nil {
				t.Fatal("the server accepted it")
			}
			err = fmt.Errorf("outer: %w", Describe(ctx, err))
			if code, ok := Code(err); !ok || code != tt.code {
				t.Errorf("code 0x%04x (%t), want 0x%04x", code, ok, tt.code)
			}
			if Permanent(err) != tt.permanent {
				t.Errorf("Permanent = %t", !tt.permanent)
			}
			if Rejected(err) != tt.rejected {
				t.Errorf("Rejected = %t", !tt.rejected)
			}
			if NotSent(err) {
				t.Error("NotSent = true")
			}
			for _, part := range []string{tt.text, "host " + db.GetHosts()[0].ConnectAddress().String(), "attempts 1"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not contain %q", err, part)
				}
			}
		})
	}
}

func TestNotSent(t *testing.T) {
	if !NotSent(fmt.Errorf("wrapped: %w", gocql.ErrNoConnections)) {
		t.Error("no connection: nothing was sent")
	}
	if !Rejected(&gocql.RequestErrUnavailable{Consistency: gocql.Serial}) {
		t.Error("too few replicas for a ballot: nothing was done")
	}
	if Rejected(&gocql.RequestErrUnavailable{Consistency: gocql.Quorum}) {
		t.Error("too few replicas for the commit: the ballot may have passed")
	}
	for _, err := range []error{gocql.ErrTimeoutNoResponse, gocql.ErrConnectionClosed, errors.New("?"), &gocql.RequestErrWriteTimeout{}} {
		if NotSent(err) || Rejected(err) {
			t.Errorf("%T %v: the outcome is open", err, err)
		}
	}
}

type request struct {
	gocql.RetryableQuery
	idempotent bool
	attempts   int
}

func (r request) IsIdempotent() bool { return r.idempotent }
func (r request) Attempts() int      { return r.attempts }

func TestRetryPolicy(t *testing.T) {
	p := retryPolicy{}
	for _, tt := range []struct {
		name string
		q    request
		want bool
	}{
		{"idempotent", request{idempotent: true, attempts: 1}, true},
		{"idempotent, often tried", request{idempotent: true, attempts: maxAttempts}, false},
		{"not idempotent", request{attempts: 1}, false},
	} {
		if got := p.Attempt(tt.q); got != tt.want {
			t.Errorf("%s: Attempt = %t", tt.name, got)
		}
		if p.AttemptLWT(tt.q) {
			t.Errorf("%s: a conditional update would be sent twice", tt.name)
		}
	}
	if got := p.GetRetryType(gocql.ErrTimeoutNoResponse); got != gocql.RetryNextHost {
		t.Errorf("a timeout: %v", got)
	}
	if got := p.GetRetryType(&PermanentError{Text: "x"}); got != gocql.Rethrow {
		t.Errorf("a permanent error: %v", got)
	}
}
