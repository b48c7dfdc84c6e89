package source

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	ds "github.com/ipfs/go-datastore"
	"github.com/prometheus/client_golang/prometheus"
)

// killedPebble returns a peer on pebble that was killed, and the last of its logs.
func killedPebble(t *testing.T) (p *crdtPeer, log string) {
	t.Helper()
	p = &crdtPeer{folder: killPeer(t, "pebble"), want: wantCRDT(t)}
	logs, err := filepath.Glob(filepath.Join(p.folder, "pebble", "*.log"))
	if ok(t, err); len(logs) == 0 {
		t.Fatal("it has no log")
	}
	return p, logs[len(logs)-1]
}

// used returns how many bytes of a log are its own.
func used(t *testing.T, name string, raw []byte) int {
	t.Helper()
	number, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".log"), 10, 32)
	ok(t, err)
	at := bytes.LastIndex(raw, binary.LittleEndian.AppendUint32(nil, uint32(number))) - pebbleNumber
	c, found := parsePebbleChunk(raw[at:min(len(raw), at+pebbleBlock-at%pebbleBlock)])
	if !found {
		t.Fatalf("no chunk is at %d of %s", at, name)
	}
	return at + c.size
}

// TestPebbleKilledPeerIsWarnedOf: all pins are there, but nobody can tell, even if no
// table looks odd.
func TestPebbleKilledPeerIsWarnedOf(t *testing.T) {
	p := &crdtPeer{folder: t.TempDir(), want: make(map[string][]byte)}
	writeConfig(t, p.folder, "crdt", map[string]any{"pebble": map[string]any{}})
	p.open(t, "pebble")
	st := p.state(t)
	for _, pin := range samplePins(t, 1) {
		ok(t, st.Add(t.Context(), pin))
		p.want[pin.Cid.String()] = valueOf(t, pin)
	}
	ok(t, st.Commit(t.Context()))
	ok(t, p.store.Sync(t.Context(), ds.NewKey("/")))
	killed := &crdtPeer{folder: copyFolder(t, p.folder)}
	p.stop(t)
	s := open(t, killed.from())
	sameValues(t, readAll(t, s).values, p.want)
	if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], "was not closed") || !s.MayLack() {
		t.Errorf("the warnings are %q", w)
	}
}

// TestPebbleFlippedBitOfALog: no pin goes missing.
func TestPebbleFlippedBitOfALog(t *testing.T) {
	p, name := killedPebble(t)
	whole, err := os.ReadFile(name)
	ok(t, err)
	size := used(t, name, whole)
	random := rand.New(rand.NewPCG(1, 2))
	var bits []int
	for range 150 {
		bits = append(bits, random.IntN(size*8))
	}
	for at := range 3 * 8 * pebbleLongHeader / 2 { // those of a header, and more
		bits = append(bits, at)
	}
	refused := 0
	for _, bit := range bits {
		raw := bytes.Clone(whole)
		raw[bit/8] ^= 1 << (bit % 8)
		ok(t, os.WriteFile(name, raw, 0o600))
		same, err := p.isTheSame(t)
		if err != nil {
			wantError(t, err, "was not closed, or is damaged: start the peer once and stop it again")
			refused++
		} else if !same {
			t.Errorf("bit %d of the %d bytes of a log was not noticed", bit, size)
		}
	}
	if refused < len(bits)*9/10 {
		t.Errorf("%d of %d logs with a flipped bit are refused", refused, len(bits))
	}
}

// TestPebbleCutLog: a log that is cut off inside a record is refused. Between two
// records nobody can tell, and there is a warning.
func TestPebbleCutLog(t *testing.T) {
	p, name := killedPebble(t)
	whole, err := os.ReadFile(name)
	ok(t, err)
	size := used(t, name, whole)
	ok(t, os.WriteFile(name, whole[:size-1000], 0o600))
	_, err = p.isTheSame(t)
	wantError(t, err, "was not closed, or is damaged")
	random := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		at := random.IntN(size)
		ok(t, os.WriteFile(name, whole[:at], 0o600))
		s, err := Open(t.Context(), p.from(), Options{})
		if err != nil {
			wantError(t, err, "was not closed, or is damaged")
			continue
		}
		got := readAll(t, s)
		if !maps.EqualFunc(got.values, p.want, bytes.Equal) && len(s.Warnings()) == 0 {
			t.Errorf("cut after %d of %d bytes: %d pins, want %d, and no warning", at, size, len(got.values), len(p.want))
		}
		ok(t, s.Close())
	}
}

// writtenLog is a log as pebble writes it, over a longer one with another number.
type writtenLog struct {
	raw  []byte
	next uint64 // the number of the change after the last one
	ends []int  // of its records
}

func writeLog(t *testing.T, long, closed bool) (l writtenLog) {
	t.Helper()
	config := record.LogWriterConfig{
		WALFsyncLatency:     prometheus.NewHistogram(prometheus.HistogramOpts{}),
		WriteWALSyncOffsets: func() bool { return long },
	}
	fill := func(w *record.LogWriter, records int) {
		l.next, l.ends = pebbleStart, nil
		for i := range records {
			batch := binary.LittleEndian.AppendUint64(nil, l.next)
			batch = binary.LittleEndian.AppendUint32(batch, 2)
			l.next += 2
			end, err := w.WriteRecord(append(batch, bytes.Repeat([]byte{byte(i)}, i*i*i%7000)...))
			ok(t, err)
			l.ends = append(l.ends, int(end))
		}
		ok(t, w.Close())
	}
	var older, b bytes.Buffer
	fill(record.NewLogWriter(&older, 5, config), 50)
	fill(record.NewLogWriter(&b, 9, config), 30)
	if !closed {
		b.Truncate(l.ends[len(l.ends)-1])
	}
	l.raw = append(b.Bytes(), older.Bytes()[b.Len():]...)
	return l
}

// eachLog runs a test for all ways in which pebble writes a log.
func eachLog(t *testing.T, test func(t *testing.T, w writtenLog)) {
	t.Helper()
	for _, long := range []bool{false, true} {
		for _, closed := range []bool{false, true} {
			t.Run(fmt.Sprintf("long %t closed %t", long, closed), func(t *testing.T) {
				w := writeLog(t, long, closed)
				l := pebbleLog{number: 9}
				ok(t, l.read(bytes.NewReader(w.raw)))
				if l.next != w.next || l.closed != closed || !l.filled {
					t.Fatalf("read to %d, closed %t, want %d and %t", l.next, l.closed, w.next, closed)
				}
				test(t, w)
			})
		}
	}
}

// TestPebbleFlippedBitOfAChunk: whichever bit it is, the log is refused or no change
// is missing.
func TestPebbleFlippedBitOfAChunk(t *testing.T) {
	eachLog(t, func(t *testing.T, w writtenLog) {
		end := w.ends[len(w.ends)-1]
		flip := func(bit int) {
			w.raw[bit/8] ^= 1 << (bit % 8)
			l := pebbleLog{number: 9}
			if err := l.read(bytes.NewReader(w.raw)); err == nil && l.next != w.next {
				t.Errorf("bit %d of byte %d, in a log of %d: read to %d, want %d", bit%8, bit/8, end, l.next, w.next)
			}
			w.raw[bit/8] ^= 1 << (bit % 8)
		}
		headers := append([]int{0, pebbleBlock}, w.ends[:6]...)
		for _, at := range append(headers, w.ends[len(w.ends)-3:]...) {
			for bit := at * 8; bit < min(at+pebbleLongHeader+pebbleChange, len(w.raw))*8; bit++ {
				flip(bit)
			}
		}
		for bit := 3; bit < end*8; bit += 997 {
			flip(bit)
		}
	})
}

// TestPebbleCutLogEndsBetweenRecords, or it is refused.
func TestPebbleCutLogEndsBetweenRecords(t *testing.T) {
	eachLog(t, func(t *testing.T, w writtenLog) {
		for at := 0; at < w.ends[len(w.ends)-1]; at += 37 {
			l := pebbleLog{number: 9}
			err := l.read(bytes.NewReader(w.raw[:at]))
			if err == nil && at > 0 && !slices.Contains(w.ends, at) {
				t.Errorf("cut after %d bytes: read to %d, want an error", at, l.next)
			}
		}
	})
}

// TestPebbleHoleInALog: with something else in the middle of a log it is refused.
func TestPebbleHoleInALog(t *testing.T) {
	eachLog(t, func(t *testing.T, w writtenLog) {
		for _, with := range []byte{0, 0xff} {
			for at := 0; at+512 < w.ends[len(w.ends)-2]; at += 512 {
				raw := bytes.Clone(w.raw)
				copy(raw[at:], bytes.Repeat([]byte{with}, 512))
				l := pebbleLog{number: 9}
				wantError(t, l.read(bytes.NewReader(raw)), "its log 000009: ")
			}
		}
	})
}

// TestPebbleMissingLog: each log that is not flushed must be there.
func TestPebbleMissingLog(t *testing.T) {
	p := manyLogs(t)
	logs, err := filepath.Glob(filepath.Join(p.folder, "pebble", "*.log"))
	ok(t, err)
	if len(logs) < 3 {
		t.Fatalf("there are the logs %q", logs)
	}
	for i, name := range logs {
		ok(t, os.Rename(name, name+".gone"))
		same, err := p.isTheSame(t)
		switch last := i == len(logs)-1; {
		case !last:
			wantError(t, err, "was not closed, or is damaged")
		case err == nil && !same:
			s := open(t, p.from())
			if !slices.ContainsFunc(s.Warnings(), func(w string) bool { return strings.Contains(w, "was not closed") }) {
				t.Errorf("without its last log the warnings are %q", s.Warnings())
			}
			ok(t, s.Close())
		}
		ok(t, os.Rename(name+".gone", name))
	}
	same, err := p.isTheSame(t)
	if ok(t, err); !same {
		t.Error("with all logs the pins are others")
	}
}

// manyLogs returns a copy of a running peer that has not flushed several logs.
func manyLogs(t *testing.T) *crdtPeer {
	t.Helper()
	p := &crdtPeer{folder: t.TempDir(), want: make(map[string][]byte)}
	writeConfig(t, p.folder, "crdt", map[string]any{"pebble": map[string]any{}})
	var err error
	flush := make(chan struct{})
	p.store, err = pebbleWith(filepath.Join(p.folder, "pebble"), func(o *pebble.Options) {
		o.MemTableStopWritesThreshold = 100
		o.EventListener = &pebble.EventListener{TableCreated: func(pebble.TableCreateInfo) { <-flush }}
	})
	ok(t, err)
	defer p.stop(t)
	defer close(flush)
	st := p.state(t)
	for _, pin := range samplePins(t, 300) {
		ok(t, st.Add(t.Context(), pin))
		p.want[pin.Cid.String()] = valueOf(t, pin)
	}
	ok(t, st.Commit(t.Context()))
	ok(t, p.store.Sync(t.Context(), ds.NewKey("/")))
	return &crdtPeer{folder: copyFolder(t, p.folder), want: p.want}
}

// TestPebbleWithoutLog: a peer that was told to have none is read.
func TestPebbleWithoutLog(t *testing.T) {
	p := &crdtPeer{folder: t.TempDir()}
	writeConfig(t, p.folder, "crdt", map[string]any{"pebble": map[string]any{}})
	var err error
	p.store, err = pebbleWith(filepath.Join(p.folder, "pebble"), func(o *pebble.Options) { o.DisableWAL = true })
	ok(t, err)
	st := p.state(t)
	pins := samplePins(t, 300)
	for _, pin := range pins {
		ok(t, st.Add(t.Context(), pin))
	}
	ok(t, st.Commit(t.Context()))
	p.stop(t)
	s := open(t, p.from())
	sameValues(t, readAll(t, s).values, valuesOf(t, pins))
	if len(s.Warnings()) > 0 {
		t.Errorf("the warnings are %q", s.Warnings())
	}
}
