package pins

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// model is what a correct service holds of one tenant.
type model struct{ all []Request }

// page is what a query is to return. It does what find does in another way: from all that
// match it takes whole milliseconds.
func (m *model) page(q Query) (page []Request, count int) {
	var matches []Request
	for _, r := range m.all {
		ok := len(q.CIDs) == 0 || slices.Contains(q.CIDs, r.CID)
		ok = ok && (len(q.Statuses) == 0 || slices.Contains(q.Statuses, r.Status))
		ok = ok && (q.Before.IsZero() || r.Created.Before(q.Before)) && (q.After.IsZero() || r.Created.After(q.After))
		for k, v := range q.Meta {
			ok = ok && r.Meta[k] == v
		}
		switch q.Match {
		case Exact:
			ok = ok && (q.Name == "" || r.Name == q.Name)
		case IExact:
			ok = ok && (q.Name == "" || strings.EqualFold(r.Name, q.Name))
		case Partial:
			ok = ok && strings.Contains(r.Name, q.Name)
		case IPartial:
			ok = ok && strings.Contains(strings.ToLower(r.Name), strings.ToLower(q.Name))
		}
		if ok {
			matches = append(matches, r)
		}
	}
	slices.SortFunc(matches, func(a, b Request) int {
		ka, _ := parseID(a.ID)
		kb, _ := parseID(b.ID)
		return cmp.Or(cmp.Compare(kb.created, ka.created), cmp.Compare(kb.rnd, ka.rnd))
	})
	var groups [][]Request
	for _, r := range matches {
		if n := len(groups); n > 0 && groups[n-1][0].Created.Equal(r.Created) {
			groups[n-1] = append(groups[n-1], r)
		} else {
			groups = append(groups, []Request{r})
		}
	}
	for i, g := range groups {
		if i > 0 && len(page)+len(g) > q.Limit {
			break
		}
		page = append(page, g...)
	}
	return page, len(matches)
}

// TestListsAgainstModel: two instances with clocks that differ make, change and remove
// requests, and all lists are what a model in memory says.
func TestListsAgainstModel(t *testing.T) {
	seeds := 2
	if os.Getenv("TEST_LONG") == "1" {
		seeds = 20
	}
	levelsSeen := make(map[int]bool)
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			for _, level := range listAgainstModel(t, rand.New(rand.NewPCG(uint64(seed), 7))) {
				levelsSeen[level] = true
			}
		})
	}
	if len(levelsSeen) < 4 {
		t.Errorf("rows lie in slices of %d lengths: the test shows too little", len(levelsSeen))
	}
}

// listAgainstModel returns the levels of the slices in which rows were at the end.
func listAgainstModel(t *testing.T, rnd *rand.Rand) (seen []int) {
	db, c := openDB(t), newClock()
	instances := []*Service{newInstance(db, c, 0), newInstance(db, c, 1500*time.Millisecond)}
	models := map[string]*model{"t1": {}, "t2": {}}
	names := []string{"", "Apple", "apple", "Pineapple", "ÄPFEL", "äpfel"}
	steps := []time.Duration{0, 0, time.Millisecond, time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond, time.Second, time.Second, 10 * time.Second, 40 * time.Second}
	for range 250 {
		c.add(steps[rnd.IntN(len(steps))])
		switch rnd.IntN(80) {
		case 0:
			c.add(time.Hour)
		case 1:
			c.add(20 * 24 * time.Hour)
		}
		s := instances[rnd.IntN(2)]
		tenant := []string{"t1", "t1", "t1", "t2"}[rnd.IntN(4)]
		m := models[tenant]
		i := -1
		if len(m.all) > 0 {
			i = rnd.IntN(len(m.all))
		}
		switch op := rnd.IntN(10); {
		case op < 5 || i < 0:
			n := newRequest(tenant, rnd.IntN(4))
			n.Name = names[rnd.IntN(len(names))]
			if rnd.IntN(2) == 0 {
				n.Meta = map[string]string{"colour": []string{"red", "green"}[rnd.IntN(2)], "n": "1"}
			}
			m.all = append(m.all, create(t, s, n))
		case op < 9:
			r := &m.all[i]
			o := observation{begun: s.now(), status: statuses()[rnd.IntN(4)], info: map[string]string{"p": "x"}, size: rnd.Int64N(9)}
			k := keyOf(t, r.ID)
			told, err := s.tell(t.Context(), tenant, k, o)
			if err != nil {
				t.Fatal(err)
			}
			if told {
				r.Status = o.status
			}
		default:
			if err := s.Remove(t.Context(), tenant, m.all[i].ID); err != nil {
				t.Fatal(err)
			}
			if _, err := instances[rnd.IntN(2)].Get(t.Context(), tenant, m.all[i].ID); !errors.Is(err, ErrNotFound) {
				t.Fatalf("a removed request is found: %v", err)
			}
			m.all = slices.Delete(m.all, i, i+1)
		}
		compareLists(t, rnd, instances[rnd.IntN(2)], tenant, m, names)
	}
	for tenant, m := range models {
		walkPages(t, instances[0], tenant, m)
	}
	for _, r := range models["t1"].all {
		seen = append(seen, levelOf(keyOf(t, r.ID).slice))
	}
	return seen
}

// compareLists asks one random question.
func compareLists(t *testing.T, rnd *rand.Rand, s *Service, tenant string, m *model, names []string) {
	t.Helper()
	q := Query{Limit: 1 + rnd.IntN(30), Match: []Match{Exact, IExact, Partial, IPartial}[rnd.IntN(4)]}
	if rnd.IntN(3) == 0 {
		q.Name = names[rnd.IntN(len(names))]
	}
	for _, status := range statuses() {
		if rnd.IntN(3) == 0 {
			q.Statuses = append(q.Statuses, status)
		}
	}
	if rnd.IntN(4) == 0 {
		q.CIDs = []string{testCID(0), testCID(rnd.IntN(4))}
	}
	if rnd.IntN(4) == 0 {
		q.Meta = map[string]string{"colour": "red"}
	}
	if n := len(m.all); n > 0 {
		if rnd.IntN(2) == 0 {
			q.Before = m.all[rnd.IntN(n)].Created.Add(time.Duration(rnd.IntN(3)-1) * time.Millisecond)
		}
		if rnd.IntN(4) == 0 {
			q.After = m.all[rnd.IntN(n)].Created.Add(time.Duration(rnd.IntN(3)-1) * time.Millisecond)
		}
	}
	want, count := m.page(q)
	got, err := s.List(t.Context(), tenant, q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	if texts(got.Results) != texts(want) || got.Count != count || !got.Exact {
		t.Fatalf("%+v\ngot %d, %v\n%s\nwant %d\n%s", q, got.Count, got.Exact, texts(got.Results), count, texts(want))
	}
}

// walkPages goes through all pages by before.
func walkPages(t *testing.T, s *Service, tenant string, m *model) {
	t.Helper()
	want, _ := m.page(Query{Limit: len(m.all) + 1})
	for _, statuses := range [][]Status{nil, {Queued, Pinned}} {
		var got []Request
		q := Query{Limit: 7, Statuses: statuses}
		for {
			page, err := s.List(t.Context(), tenant, q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Results) == 0 {
				break
			}
			got = append(got, page.Results...)
			q.Before = got[len(got)-1].Created
		}
		want := slices.DeleteFunc(slices.Clone(want), func(r Request) bool { return statuses != nil && !slices.Contains(statuses, r.Status) })
		if texts(got) != texts(want) {
			t.Errorf("all pages of %v:\n%s\nwant\n%s", statuses, texts(got), texts(want))
		}
	}
}

// texts is what requests say, one in a line.
func texts(all []Request) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintln(&b, r.Created.UnixMilli(), r.ID, r.CID, r.Name, r.Meta, r.Status, r.Owner, r.Tenant)
	}
	return b.String()
}

// TestListsWhileStatusesChange: no list of several statuses misses a request that moves from
// one of them to another, or shows it twice.
func TestListsWhileStatusesChange(t *testing.T) {
	const requests, lists = 12, 60
	db, c := openDB(t), newClock()
	s := newInstance(db, c, 0)
	s.slicer.rows = 1000
	var keys []key
	for i := range requests {
		keys = append(keys, keyOf(t, create(t, s, newRequest("t1", i)).ID))
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			c.add(time.Second)
			o := observation{begun: c.now(), status: []Status{Queued, Pinning, Failed}[rand.IntN(3)]}
			if _, err := s.tell(t.Context(), "t1", keys[i%requests], o); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for i := range lists {
		for _, wanted := range [][]Status{nil, {Queued, Pinning, Failed}} {
			page, err := s.List(t.Context(), "t1", Query{Limit: 100, Statuses: wanted})
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Results) != requests || page.Count != requests {
				t.Errorf("list %d of %v has %d requests, counts %d", i, wanted, len(page.Results), page.Count)
			}
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}
