package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"
)

// passing is a way to ask for a pin.
type passing struct {
	name       string
	handler    http.Handler
	credential string
}

// measureAdded compares a request for one pin through the gateway with the same without.
// Both are called in this process: what HTTP takes is the same for both.
func (d *doors) measureAdded(ctx context.Context, set settings) ([]table, error) {
	asked := table{
		Title: fmt.Sprintf("A pin is asked for, %d times a second", set.Asked), Left: "gateway", Right: "bare handler",
		Note: fmt.Sprintf("Requests come at a fixed rate whatever becomes of those before, for %s a turn, %d rounds in turns. Both read the pin from the database; "+
			"the gateway finds out who asks, decides, counts, and answers in the form of the API.", set.AskedTurn, set.AskedRounds),
	}
	added := table{
		Title: "What the gateway adds at the 99th percentile", Left: "added", Right: "promise",
		Note: "The difference of both sides in each round. The promise is for API keys and tokens, on an idle machine.",
	}
	bare := passing{handler: d.bare()}
	for _, p := range []passing{
		{"API key", d.usual.Handler(), d.key},
		{"token of an issuer (RS256)", d.usual.Handler(), d.jwt},
		{"API key, reads on record", d.recorded.Handler(), d.key},
	} {
		half, late := row{Name: p.name + ": median", Unit: "ms"}, row{Name: p.name + ": 99th percentile", Unit: "ms"}
		cpu := row{Name: p.name + ": processor time", Unit: "µs"}
		difference := row{Name: p.name, Unit: "ms"}
		for round := -1; round < set.AskedRounds; round++ { // the first warms up
			var at99 [2]float64
			for turn := range at99 {
				side := sideOfTurn(round+1, turn)
				took, used, err := d.askOften(ctx, []passing{p, bare}[side], set)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", p.name, err)
				}
				at99[side] = percentile(took, 0.99)
				if round >= 0 {
					half.add(side, percentile(took, 0.5))
					late.add(side, at99[side])
					cpu.add(side, used)
				}
			}
			if round >= 0 {
				difference.add(0, at99[0]-at99[1])
				difference.add(1, addedBound.Seconds()*1000)
			}
		}
		say("%s: %s added at the 99th percentile", p.name, number(difference.Values[0].Median))
		asked.Rows = append(asked.Rows, half, late, cpu)
		added.Rows = append(added.Rows, difference)
	}
	return []table{asked, added}, nil
}

// percentile is that of values in order.
func percentile(sorted []float64, share float64) float64 {
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// askOften asks at a fixed rate. It returns how long each answer took, the shortest first, in
// ms, and the processor time of a request in µs.
func (d *doors) askOften(ctx context.Context, p passing, set settings) (took []float64, cpu float64, err error) {
	runtime.GC() // what the other side left is not to be cleaned up now
	interval := time.Second / time.Duration(set.Asked)
	took = make([]float64, int(set.AskedTurn/interval))
	failed := make([]error, len(took))
	before, err := ownCPU()
	if err != nil {
		return nil, 0, err
	}
	var asking sync.WaitGroup
	begun := time.Now()
	for i := range took {
		if err := sleepUntil(ctx, begun.Add(time.Duration(i)*interval)); err != nil {
			asking.Wait()
			return nil, 0, err
		}
		came := time.Now()
		asking.Go(func() {
			failed[i] = p.ask(ctx, d.ids[i%len(d.ids)])
			took[i] = time.Since(came).Seconds() * 1000
		})
	}
	asking.Wait()
	for _, err := range failed {
		if err != nil {
			return nil, 0, err
		}
	}
	after, err := ownCPU()
	slices.Sort(took)
	return took, float64((after - before).Microseconds()) / float64(len(took)), err
}

func sleepUntil(ctx context.Context, at time.Time) error {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// ask asks for one pin.
func (p passing) ask(ctx context.Context, id string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, getPath+id, http.NoBody)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	r.RemoteAddr, r.Host = "127.0.0.1:9", "bench"
	r.Header.Set("User-Agent", "bench")
	if p.credential != "" {
		r.Header.Set("Authorization", "Bearer "+p.credential)
	}
	var got taken
	p.handler.ServeHTTP(&got, r)
	if got.status != http.StatusOK {
		return fmt.Errorf("a pin is answered with %d: %.200s", got.status, got.body)
	}
	return nil
}

// taken is an answer that is not sent.
type taken struct {
	header http.Header
	status int
	body   []byte
}

// Header implements http.ResponseWriter.
func (t *taken) Header() http.Header {
	if t.header == nil {
		t.header = make(http.Header)
	}
	return t.header
}

// WriteHeader implements http.ResponseWriter.
func (t *taken) WriteHeader(status int) { t.status = status }

// Write implements http.ResponseWriter.
func (t *taken) Write(text []byte) (int, error) {
	t.body = append(t.body, text...)
	return len(text), nil
}
