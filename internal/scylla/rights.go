package scylla

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/gocql/gocql"
)

// missingRight is how both engines name what a role lacks.
var missingRight = regexp.MustCompile(`(?i)has no (\w+) permission`)

// rolesUnread reports whether a server could not look up the role or what it may
// do, as too few of the nodes that know answer. Cassandra answers that with the
// code of a wrong password or a missing right, and these words before the cause.
func rolesUnread(err error) bool {
	var se serverError
	return errors.As(err, &se) &&
		(se.GetCode() == gocql.ErrCodeCredentials || se.GetCode() == gocql.ErrCodeUnauthorized) &&
		strings.HasPrefix(se.GetMessage(), "Unable to perform auth")
}

// Grants are the statements that give a role what it needs on a keyspace that
// is there: to use its tables, and with schema also to make them and to change
// them. Whoever makes a keyspace has all rights on it.
func Grants(keyspace, role string, schema bool) []string {
	rights := []string{"SELECT", "MODIFY"}
	if schema {
		rights = append(rights, "CREATE", "ALTER")
	}
	out := make([]string, len(rights))
	for i, right := range rights {
		out[i] = fmt.Sprintf("GRANT %s ON KEYSPACE %s TO %s;", right, keyspace, quoteRole(role))
	}
	return out
}

func quoteRole(role string) string { return `"` + strings.ReplaceAll(role, `"`, `""`) + `"` }

// explainRights adds to the error of a request that the role may not make
// which right is missing, and the statements of a superuser that mend it.
func explainRights(err error, role string, grants ...string) error {
	if code, ok := Code(err); !ok || code != gocql.ErrCodeUnauthorized || rolesUnread(err) {
		return err
	}
	right := "a right"
	if m := missingRight.FindStringSubmatch(err.Error()); m != nil {
		right = "the right " + strings.ToUpper(m[1])
	}
	return &PermanentError{
		Text: fmt.Sprintf("the role %s lacks %s; a superuser gives it with: %s", role, right, strings.Join(grants, " ")),
		Err:  err,
	}
}
