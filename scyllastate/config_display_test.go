package scyllastate

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/servicejson"
)

// fillSecrets sets every hidden string field under v to secret and returns
// how many there are.
func fillSecrets(v reflect.Value, secret string) int {
	n := 0
	for i := range v.NumField() {
		f, tag := v.Field(i), v.Type().Field(i).Tag
		switch {
		case f.Kind() == reflect.Struct:
			n += fillSecrets(f, secret)
		case tag.Get("hidden") == "true":
			f.SetString(secret)
			n++
		}
	}
	return n
}

func TestConfigDisplayHidesSecrets(t *testing.T) {
	jcfg := loaded(t, fullConfig).toJSON()
	if n := fillSecrets(reflect.ValueOf(jcfg).Elem(), "s3cr3t"); n == 0 {
		t.Fatal("no field is tagged hidden, the password must be")
	}
	shown, err := servicejson.Display(jcfg)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(shown), "s3cr3t") {
		t.Errorf("a secret shows: %s", shown)
	}
	shown, err = loaded(t, fullConfig).ToDisplayJSON()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(shown), "top-secret") {
		t.Errorf("the password shows: %s", shown)
	}
	for _, want := range []string{`"password": "XXX_hidden_XXX"`, `"local_dc": "dc1"`, `"ca_file": "ca.pem"`} {
		if !strings.Contains(string(shown), want) {
			t.Errorf("%s is missing in %s", want, shown)
		}
	}
}
