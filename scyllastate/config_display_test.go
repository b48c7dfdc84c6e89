package scyllastate

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
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
	shown, err := displayJSON(jcfg)
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

func TestDisplayHidesAtEveryDepth(t *testing.T) {
	type leaf struct {
		Secret string            `json:"secret,omitempty" hidden:"true"`
		Many   map[string]string `json:"many" hidden:"true"`
		Name   string            `json:"name,omitempty"`
	}
	type tree struct {
		Inner   leaf            `json:"inner"`
		Pointer *leaf           `json:"pointer"`
		Nil     *leaf           `json:"nil"`
		List    []leaf          `json:"list"`
		ByName  map[string]leaf `json:"by_name"`
		Whole   leaf            `json:"whole" hidden:"true"`
	}
	one := leaf{Secret: "s3cr3t", Many: map[string]string{"s3cr3t": "s3cr3t"}, Name: "n"}
	shown, err := displayJSON(&tree{Inner: one, Pointer: &one, List: []leaf{one, {}}, ByName: map[string]leaf{"a": one}, Whole: one})
	if err != nil {
		t.Fatal(err)
	}
	const m = "XXX_hidden_XXX"
	full, empty := map[string]any{"secret": m, "many": m, "name": "n"}, map[string]any{"secret": m, "many": m, "name": ""}
	want := map[string]any{
		"inner": full, "pointer": full, "nil": nil, "list": []any{full, empty},
		"by_name": map[string]any{"a": full}, "whole": m,
	}
	var got any
	if err := json.Unmarshal(shown, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, any(want)) {
		t.Errorf("displayed as %s, want %v", shown, want)
	}
}
