package servicejson

import (
	"encoding/json"
	"reflect"
	"testing"
)

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
	shown, err := Display(&tree{Inner: one, Pointer: &one, List: []leaf{one, {}}, ByName: map[string]leaf{"a": one}, Whole: one})
	if err != nil {
		t.Fatal(err)
	}
	const m = "XXX_hidden_XXX" // as upstream writes it
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
