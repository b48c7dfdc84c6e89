package configpage

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"strings"
)

// comments is what a file says of its fields.
type comments struct {
	// doc are the comments by "Config.Hosts".
	doc map[string]string
	// constants are the values of the string constants, quoted.
	constants map[string]string
	// names are the fields as they are written in service.json, by their Go names, as "Port"
	// or "TLS.CAFile". Without a struct before it, a name is that of the first such field.
	names map[string]string
}

func readComments(name string, code []byte) (comments, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, code, parser.ParseComments|parser.SkipObjectResolution)
	c := comments{doc: make(map[string]string), constants: make(map[string]string), names: make(map[string]string)}
	if err != nil {
		return c, fmt.Errorf("reading the doc comments: %w", err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.TypeSpec:
			fields, ok := n.Type.(*ast.StructType)
			if !ok {
				return false
			}
			for _, f := range fields.Fields.List {
				for _, name := range f.Names {
					c.doc[n.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
				}
			}
		case *ast.ValueSpec:
			for i, v := range n.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					c.constants[n.Names[i].Name] = lit.Value
				}
			}
		}
		return true
	})
	return c, nil
}

// meaning is the comment of a field in the words of service.json: without its
// own name in front, and with the names of fields and the values of constants
// instead of the identifiers of Go.
func (c comments) meaning(structName, field string) string {
	text := strings.TrimPrefix(c.doc[structName+"."+field], field+" ")
	for _, verb := range []string{"is ", "are "} {
		text = strings.TrimPrefix(text, verb)
	}
	text = regexp.MustCompile(`\b[A-Z]\w+(\.[A-Z]\w+)*`).ReplaceAllStringFunc(text, func(word string) string {
		if value, ok := c.constants[word]; ok {
			return "`" + value + "`"
		}
		if name, ok := c.names[word]; ok {
			return "`" + name + "`"
		}
		return word
	})
	return strings.ReplaceAll(text, "|", `\|`)
}

// addNames adds the fields of t. path and outer are those of the struct in
// service.json and in Go, with a dot at the end.
func addNames(names map[string]string, t reflect.Type, path, outer string) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key == "-" {
			continue
		}
		if isSection(f.Type) {
			addNames(names, f.Type, path+key+".", outer+f.Name+".")
			continue
		}
		names[outer+f.Name] = path + key
		if _, taken := names[f.Name]; !taken {
			names[f.Name] = path + key
		}
		if f.Type.Kind() == reflect.Slice && isSection(f.Type.Elem()) {
			addNames(names, f.Type.Elem(), path+key+"[].", outer+f.Name+".")
		}
	}
}
