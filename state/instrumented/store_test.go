package instrumented

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// fake answers every call with an error and a pin.
type fake struct {
	Underlying
	err error
	pin *api.Pin
}

func (f *fake) List(_ context.Context, out chan<- api.Pin) error { close(out); return f.err }
func (f *fake) Has(context.Context, api.Cid) (bool, error)       { return f.err == nil, f.err }
func (f *fake) Get(context.Context, api.Cid) (api.Pin, error)    { return api.Pin{}, f.err }
func (f *fake) Add(context.Context, api.Pin) error               { return f.err }
func (f *fake) Rm(context.Context, api.Cid) error                { return f.err }
func (f *fake) PutIf(context.Context, api.Pin, state.Revision) error {
	return f.err
}
func (f *fake) DeleteIf(context.Context, api.Cid, state.Revision) error {
	return f.err
}

func (f *fake) GetVersion(context.Context, api.Cid) (*api.Pin, state.Revision, error) {
	return f.pin, state.Revision{1}, f.err
}

func (f *fake) Update(_ context.Context, _ api.Cid, change func(*api.Pin) (*api.Pin, error)) error {
	if _, err := change(nil); err != nil {
		return err
	}
	return f.err
}

type down struct{}

func (down) Error() string     { return "down" }
func (down) Unavailable() bool { return true }

// call makes one call of an operation.
func call(ctx context.Context, s Underlying, op operation) error {
	var err error
	switch op {
	case add:
		err = s.Add(ctx, api.Pin{})
	case rm:
		err = s.Rm(ctx, api.CidUndef)
	case get:
		_, err = s.Get(ctx, api.CidUndef)
	case has:
		_, err = s.Has(ctx, api.CidUndef)
	case list:
		err = s.List(ctx, make(chan api.Pin))
	case update:
		err = s.Update(ctx, api.CidUndef, func(p *api.Pin) (*api.Pin, error) { return p, nil })
	case getVersion:
		_, _, err = s.GetVersion(ctx, api.CidUndef)
	case putIf:
		err = s.PutIf(ctx, api.Pin{}, state.Revision{})
	case deleteIf:
		err = s.DeleteIf(ctx, api.CidUndef, state.Revision{})
	}
	return err
}

// TestOutcomes: each call is counted once, by its outcome, and its error is passed on as it is.
func TestOutcomes(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	over, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	for _, tc := range []struct {
		ctx  context.Context
		err  error
		want outcome
	}{
		{t.Context(), nil, ok},
		{t.Context(), state.ErrNotFound, notFound},
		{t.Context(), fmt.Errorf("x: %w", state.ErrChanged), conflict},
		{t.Context(), fmt.Errorf("x: %w", down{}), unavailable},
		{gone, fmt.Errorf("x: %w", down{}), canceled},
		{gone, context.Canceled, canceled},
		{gone, state.ErrNotFound, notFound},
		{gone, fmt.Errorf("x: %w: %w", state.ErrOutcomeUnknown, down{}), unknownOutcome},
		{t.Context(), context.DeadlineExceeded, failed},
		{over, context.DeadlineExceeded, unavailable},
		{over, fmt.Errorf("x: %w", down{}), unavailable},
		{t.Context(), errors.New("x"), failed},
	} {
		for op := range operations {
			m := NewMetrics()
			err := call(tc.ctx, New(&fake{err: tc.err, pin: &api.Pin{}}, m), op)
			if err != tc.err { //nolint:errorlint // upstream compares with ==
				t.Errorf("%s: the error %v became %v", op, tc.err, err)
			}
			for o := range operations {
				for out := range outcomes {
					want := 0.
					if o == op && out == tc.want {
						want = 1
					}
					if got := testutil.ToFloat64(m.counters[o][out]); got != want {
						t.Errorf("after %s with %v: %s %s is %v, want %v", op, tc.err, o, out, got, want)
					}
				}
			}
		}
	}
}

// TestRefused: what the rules for pins refuse is no failure of the store.
func TestRefused(t *testing.T) {
	m := NewMetrics()
	refusal := errors.New("is recursive and cannot become direct")
	err := New(&fake{}, m).Update(t.Context(), api.CidUndef, func(*api.Pin) (*api.Pin, error) { return nil, refusal })
	if !errors.Is(err, refusal) || testutil.ToFloat64(m.counters[update][invalid]) != 1 {
		t.Errorf("%v, counted %v", err, testutil.ToFloat64(m.counters[update][invalid]))
	}
	_, _, err = New(&fake{}, m).GetVersion(t.Context(), api.CidUndef)
	if err != nil || testutil.ToFloat64(m.counters[getVersion][notFound]) != 1 {
		t.Errorf("no such pin: %v, counted %v", err, testutil.ToFloat64(m.counters[getVersion][notFound]))
	}
}

// TestSeries: all of them are there at zero, and pass the linter of Prometheus.
func TestSeries(t *testing.T) {
	m := NewMetrics()
	if got, want := testutil.CollectAndCount(m, "ipfscluster_state_operations_total"), int(operations)*int(outcomes); got != want {
		t.Errorf("%d counters, want %d", got, want)
	}
	if got, want := testutil.CollectAndCount(m, "ipfscluster_state_operation_duration_seconds"), int(operations); got != want {
		t.Errorf("%d histograms, want %d", got, want)
	}
	problems, err := testutil.CollectAndLint(m)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		t.Error(err)
	}
	if err := call(t.Context(), New(&fake{}, m), add); err != nil {
		t.Error(err)
	}
	all, err := registry.Gather()
	if err != nil || len(all) != 2 {
		t.Fatalf("%d families, %v", len(all), err)
	}
	for _, one := range all[0].GetMetric() {
		if one.GetLabel()[0].GetValue() == "add" && one.GetHistogram().GetSampleCount() != 1 {
			t.Errorf("an add is not measured: %s", one)
		}
	}
}

// TestWithoutMetrics: nothing is counted, and all works.
func TestWithoutMetrics(t *testing.T) {
	s := New(&fake{pin: &api.Pin{}}, nil)
	for op := range operations {
		if err := call(t.Context(), s, op); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	if n := testutil.CollectAndCount((*Metrics)(nil)); n != 0 {
		t.Errorf("nothing has %d metrics", n)
	}
}

// BenchmarkGet shows what counting costs: the store below does nothing.
func BenchmarkGet(b *testing.B) {
	for name, s := range map[string]Underlying{"bare": &fake{}, "counted": New(&fake{}, NewMetrics()), "without metrics": New(&fake{}, nil)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Get(b.Context(), api.CidUndef); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUpdate is the same for a write.
func BenchmarkUpdate(b *testing.B) {
	keep := func(p *api.Pin) (*api.Pin, error) { return p, nil }
	for name, s := range map[string]Underlying{"bare": &fake{}, "counted": New(&fake{}, NewMetrics())} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Update(b.Context(), api.CidUndef, keep); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
