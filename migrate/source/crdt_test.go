package source

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/boxo/datastore/dshelp"
	ds "github.com/ipfs/go-datastore"
)

// TestCRDTHasThePinsOfOfflineState: what comes out is what upstream lists.
func TestCRDTHasThePinsOfOfflineState(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := startCRDT(t, kind)
		listed := make(map[string]api.Pin)
		out := make(chan api.Pin, 10_000)
		ok(t, p.state(t).List(t.Context(), out))
		for pin := range out {
			listed[pin.Cid.String()] = pin
		}
		p.stop(t)
		untouched(t, p.folder)
		s := open(t, p.from())
		got := readAll(t, s)
		sameValues(t, got.values, p.want)
		if len(got.bad) > 0 || len(got.records) != len(p.want) || len(listed) != len(p.want) {
			t.Errorf("%d records and %d bad ones, upstream lists %d, want %d", len(got.records), len(got.bad), len(listed), len(p.want))
		}
		for c, value := range got.values {
			var pin api.Pin
			ok(t, pin.ProtoUnmarshal(value))
			if up := listed[c]; !bytes.Equal(valueOf(t, up), valueOf(t, pin)) {
				t.Errorf("%s: got %v, upstream has %v", c, pin, up)
			}
		}
		counts(t, s, len(p.want))
		resumes(t, s, 17)
		if len(s.Warnings()) > 0 || s.MayLack() {
			t.Error(s.Warnings())
		}
		real, err := realPath(p.folder)
		ok(t, err)
		if s.ID() != "crdt:"+real || s.Fingerprint() == "" {
			t.Errorf("ID %q, fingerprint %q", s.ID(), s.Fingerprint())
		}
		ok(t, s.Close())
		p.canStart(t, kind)
	})
}

// TestCRDTFingerprintChanges with each change, and only then.
func TestCRDTFingerprintChanges(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := stoppedCRDT(t, kind)
		fingerprint := func() string {
			s, err := Open(t.Context(), p.from(), Options{})
			ok(t, err)
			defer s.Close()
			return s.Fingerprint()
		}
		before := fingerprint()
		if again := fingerprint(); again != before {
			t.Errorf("%q became %q without a change", before, again)
		}
		p.open(t, kind)
		st := p.state(t)
		for _, pin := range samplePins(t, 1) {
			ok(t, st.Rm(t.Context(), pin.Cid))
		}
		ok(t, st.Commit(t.Context()))
		p.stop(t)
		if after := fingerprint(); after == before {
			t.Error("it did not change with the pins")
		}
	})
}

// TestCRDTWarnings are given of data that is not complete.
func TestCRDTWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, store ds.Datastore) error
		want   string
	}{
		"dirty": {func(t *testing.T, store ds.Datastore) error { return store.Put(t.Context(), ds.NewKey("/c/d"), nil) }, "mark-clean"},
		"old version": {func(t *testing.T, store ds.Datastore) error {
			return store.Delete(t.Context(), ds.NewKey("/c/crdt_version"))
		}, "1.1.2"},
	} {
		eachStore(t, func(t *testing.T, kind string) {
			t.Run(name, func(t *testing.T) {
				p := startCRDT(t, kind)
				ok(t, c.change(t, p.store))
				p.stop(t)
				s := open(t, p.from())
				if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], c.want) {
					t.Errorf("got %q, want one with %q", w, c.want)
				}
				sameValues(t, readAll(t, s).values, p.want)
			})
		})
	}
}

// TestCRDTBadRecords are counted, named and do not end the reading.
func TestCRDTBadRecords(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := startCRDT(t, kind)
		var some string
		for _, pin := range samplePins(t, 300)[200:201] {
			delete(p.want, pin.Cid.String())
			some = "/c/s/k" + dshelp.NewKeyFromBinary(pin.Cid.Bytes()).String() + "/v"
			ok(t, p.store.Put(t.Context(), ds.NewKey(some), nil))
		}
		ok(t, p.store.Put(t.Context(), ds.NewKey("/c/s/k/no base32!/v"), []byte("x")))
		ok(t, p.store.Put(t.Context(), ds.NewKey("/c/s/k/AAAA/v"), []byte("x")))
		ok(t, p.store.Put(t.Context(), ds.NewKey("/c/s/kk/AAAA/v"), []byte("x")))
		p.stop(t)
		s := open(t, p.from())
		got := readAll(t, s)
		sameValues(t, got.values, p.want)
		var at []string
		for _, b := range got.bad {
			at = append(at, b.At)
		}
		for _, want := range []string{some, "/c/s/k/no base32!/v", "/c/s/k/AAAA/v"} {
			if !strings.Contains(strings.Join(at, "\n"), want) {
				t.Errorf("bad records at %q, want one at %s", at, want)
			}
		}
		if len(at) != 3 {
			t.Errorf("bad records at %q", at)
		}
		counts(t, s, len(p.want)+3)
	})
}

// TestCRDTEndsWithItsCaller: with the error of either function, or the context.
func TestCRDTEndsWithItsCaller(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := stoppedCRDT(t, kind)
		s := open(t, p.from())
		n := 0
		err := s.Read(t.Context(), Position{}, func(Record) error {
			if n++; n == 5 {
				return errStop
			}
			return nil
		}, nil)
		if !errors.Is(err, errStop) || n != 5 {
			t.Errorf("%v after %d records", err, n)
		}
		if err := s.Read(canceled(t), Position{}, nil, nil); !errors.Is(err, canceled(t).Err()) {
			t.Error(err)
		}
	})
}

// TestCRDTElsewhere: the folder and the namespace of service.json count.
func TestCRDTElsewhere(t *testing.T) {
	p := stoppedCRDT(t, "leveldb")
	ok(t, os.Rename(filepath.Join(p.folder, "leveldb"), filepath.Join(p.folder, "other")))
	config := func(datastore, namespace string) {
		ok(t, os.WriteFile(filepath.Join(p.folder, configFile), fmt.Appendf(nil,
			`{"consensus":{"crdt":{"datastore_namespace":%q}},"datastore":{"leveldb":{"folder":%q}}}`, namespace, datastore), 0o600))
	}
	for _, datastore := range []string{"other", filepath.Join(p.folder, "other")} {
		config(datastore, "")
		sameValues(t, readAll(t, open(t, p.from())).values, p.want)
	}
	config("other", "/elsewhere")
	s := open(t, p.from())
	if got := readAll(t, s); len(got.records) != 0 || !strings.Contains(strings.Join(s.Warnings(), ""), "/elsewhere") {
		t.Errorf("%d records, warnings %q", len(got.records), s.Warnings())
	}
}
