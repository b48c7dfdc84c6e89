package servicejson

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/config"
)

// Hidden is what upstream shows in the place of a secret.
const Hidden = "XXX_hidden_XXX"

// masked is written in the place of a secret.
type masked struct{}

// MarshalJSON writes Hidden.
func (masked) MarshalJSON() ([]byte, error) {
	return []byte(`"` + Hidden + `"`), nil
}

// UnmarshalJSON drops the secret.
func (*masked) UnmarshalJSON([]byte) error {
	return nil
}

// Display writes a section as JSON with every field that is tagged hidden:"true"
// masked, at any depth, also where nothing is set. Upstream's config.DisplayJSON
// masks the first level only.
func Display(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("writing the configuration for display: %w", err)
	}
	display := reflect.New(maskType(reflect.TypeOf(v))).Interface()
	if err := json.Unmarshal(plain, display); err != nil {
		return nil, fmt.Errorf("masking the configuration for display: %w", err)
	}
	return config.DefaultJSONMarshal(display)
}

// maskType returns t with the type of each hidden field replaced by masked.
// Fields lose omitempty, so that the masks show.
func maskType(t reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Pointer:
		return reflect.PointerTo(maskType(t.Elem()))
	case reflect.Slice:
		return reflect.SliceOf(maskType(t.Elem()))
	case reflect.Map:
		return reflect.MapOf(t.Key(), maskType(t.Elem()))
	case reflect.Struct:
		fields := make([]reflect.StructField, 0, t.NumField())
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			field := reflect.StructField{Name: f.Name, Type: maskType(f.Type), Tag: reflect.StructTag(fmt.Sprintf("json:%q", name))}
			if f.Tag.Get("hidden") == "true" {
				field.Type = reflect.TypeFor[masked]()
			}
			fields = append(fields, field)
		}
		return reflect.StructOf(fields)
	default:
		return t
	}
}
