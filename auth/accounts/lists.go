package accounts

import (
	"context"
	"fmt"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// MaxPage is how many a page has at most, and unless told otherwise: ScyllaDB takes no more
// keys in one statement.
const MaxPage = 100

// Page is a part of a list, newest first. It may have fewer than were asked for, also none:
// the list ends where Next is empty.
type Page[T any] struct {
	All []T
	// Next is what continues the list after this page.
	Next string
}

const listOfTenants = "tenants"

func listOfKeys(tenant string) string { return fmt.Sprintf("keys %q", tenant) }

func listOfCredentials(tenant, principal string) string {
	return fmt.Sprintf("credentials %q %q", tenant, principal)
}

// entry is what stands in a list: a row that was made at a moment, which no other has.
type entry struct {
	list string
	made gocql.UUID
	id   string
}

// enter writes an entry. Its timestamp is the moment, and that of leave the next one:
// whichever comes last, an entry that was removed stays so.
func (s *Store) enter(ctx context.Context, e entry) error {
	err := s.write(ctx, scylla.Bind(insertEntry, e.list, e.made, e.id, e.made.Time().UnixMicro()))
	return wrap(err, "writing the entry of %q in the list %s", e.id, e.list)
}

// leave removes an entry.
func (s *Store) leave(ctx context.Context, e entry) error {
	err := s.write(ctx, scylla.Bind(deleteEntry, e.made.Time().UnixMicro()+1, e.list, e.made))
	return wrap(err, "removing the entry of %q in the list %s", e.id, e.list)
}

// page reads a page of a list. after is empty for the first one, limit 0 for MaxPage. rows
// returns those that there are of some ids, by the moments at which they were made.
func page[T any](ctx context.Context, s *Store, list, after string, limit int, rows func(context.Context, []string) (map[gocql.UUID]T, error)) (Page[T], error) {
	if limit < 0 || limit > MaxPage {
		return Page[T]{}, invalid("limit", "%d is not 1 to %d", limit, MaxPage)
	}
	if limit == 0 {
		limit = MaxPage
	}
	entries, err := s.entries(ctx, list, after, limit)
	if err != nil || len(entries) == 0 {
		return Page[T]{}, err
	}
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.id
	}
	found, err := rows(ctx, ids)
	if err != nil {
		return Page[T]{}, err
	}
	var out Page[T]
	for _, e := range entries {
		if row, ok := found[e.made]; ok {
			out.All = append(out.All, row)
		}
	}
	if len(entries) == limit {
		out.Next = entries[limit-1].made.String()
	}
	return out, nil
}

func (s *Store) entries(ctx context.Context, list, after string, limit int) ([]entry, error) {
	statement := scylla.Bind(selectFirst, list, limit)
	if after != "" {
		last, err := parseAfter(after)
		if err != nil {
			return nil, err
		}
		statement = scylla.Bind(selectAfter, list, last, limit)
	}
	var out []entry
	rows := s.db.Rows(ctx, gocql.Quorum, MaxPage, statement)
	for e := (entry{list: list}); rows.Next(&e.made, &e.id); {
		out = append(out, e)
	}
	return out, wrap(rows.Close(), "reading the list %s", list)
}

// parseAfter reads what a page has returned as Next.
func parseAfter(text string) (gocql.UUID, error) {
	last, err := gocql.ParseUUID(text)
	if err != nil || last.Version() != 1 || last.String() != text {
		return gocql.UUID{}, invalid("after", "it is not what a page has returned")
	}
	return last, nil
}
