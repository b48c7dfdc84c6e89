package scyllastate

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"text/template"
)

//go:generate go test -run=^TestConfigurationPage$ -update

var update = flag.Bool("update", false, "write docs/configuration.md")

const configurationPage = "../docs/configuration.md"

// TestConfigurationPage shows that docs/configuration.md is what the code says:
// the doc comments of Config, the defaults, the names of the variables. With
// -update it writes the page.
func TestConfigurationPage(t *testing.T) {
	source, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	comments, err := readComments(source)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := pageRows(comments)
	if err != nil {
		t.Fatal(err)
	}
	defaults := &Config{}
	must(t, defaults.Default())
	for i := range rows {
		if value := savedField(t, defaults, rows[i].Field); value != "" {
			rows[i].Default = "`" + value + "`"
		}
	}
	tmpl, err := template.ParseFiles("testdata/configuration.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := tmpl.Execute(&page, rows); err != nil {
		t.Fatal(err)
	}
	if *update {
		must(t, os.WriteFile(configurationPage, page.Bytes(), 0o644))
		return
	}
	committed, err := os.ReadFile(configurationPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(committed, page.Bytes()) {
		t.Errorf("docs/configuration.md is not what the code says, run: go generate ./scyllastate\n%s", firstDifference(string(committed), page.String()))
	}
}

// TestUndocumentedField shows that the page cannot be made when the meaning of
// a field is missing, and what a comment becomes.
func TestUndocumentedField(t *testing.T) {
	comments, err := readComments([]byte(`package p
const Wide = "wide"
type Config struct {
	// Hosts are names. Port, Wide
	// or CAFile matter.
	Hosts []string
	Port int
}
type TLSConfig struct {
	// CAFile holds |.
	CAFile string
}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := comments.meaning("Config", "Hosts"), "names. `port`, `\"wide\"` or `tls.ca_file` matter."; got != want {
		t.Errorf("the comment became %q, want %q", got, want)
	}
	if got, want := comments.meaning("TLSConfig", "CAFile"), `holds \|.`; got != want {
		t.Errorf("the comment became %q, want %q", got, want)
	}
	_, err = pageRows(comments)
	if err == nil || !strings.Contains(err.Error(), "Config.Port") {
		t.Errorf("making the page = %v, want an error about Config.Port, which has no comment", err)
	}
}

// pageRow is one row of the table of fields.
type pageRow struct{ Field, Variable, Default, Meaning string }

// pageRows returns a row without default for each field of service.json.
func pageRows(comments configComments) ([]pageRow, error) {
	variables := envNames(reflect.TypeFor[configJSON](), envPrefix, "")
	var rows []pageRow
	var walk func(written, documented reflect.Type, path string) error
	walk = func(written, documented reflect.Type, path string) error {
		for i := range written.NumField() {
			f := written.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			twin, ok := documented.FieldByName(f.Name)
			if !ok {
				return fmt.Errorf("field %s of service.json is not in %s", path+key, documented.Name())
			}
			if f.Type.Kind() == reflect.Struct {
				if err := walk(f.Type, twin.Type, path+key+"."); err != nil {
					return err
				}
				continue
			}
			meaning := comments.meaning(documented.Name(), f.Name)
			if meaning == "" {
				return fmt.Errorf("an undocumented config field: %s.%s (%s) has no doc comment in config.go", documented.Name(), f.Name, path+key)
			}
			rows = append(rows, pageRow{Field: path + key, Variable: variables[path+key], Meaning: meaning})
		}
		return nil
	}
	return rows, walk(reflect.TypeFor[configJSON](), reflect.TypeFor[Config](), "")
}

// configComments is what config.go says of its fields.
type configComments struct {
	// doc are the comments by "Config.Hosts".
	doc map[string]string
	// constants are the values of the string constants, quoted.
	constants map[string]string
}

func readComments(source []byte) (configComments, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", source, parser.ParseComments|parser.SkipObjectResolution)
	c := configComments{doc: make(map[string]string), constants: make(map[string]string)}
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
func (c configComments) meaning(structName, field string) string {
	names := make(map[string]string) // as they are written, by Go name
	addNames(names, reflect.TypeFor[configJSON](), "")
	text := strings.TrimPrefix(c.doc[structName+"."+field], field+" ")
	for _, verb := range []string{"is ", "are "} {
		text = strings.TrimPrefix(text, verb)
	}
	text = regexp.MustCompile(`\b[A-Z]\w+`).ReplaceAllStringFunc(text, func(word string) string {
		if value, ok := c.constants[word]; ok {
			return "`" + value + "`"
		}
		if name, ok := names[word]; ok {
			return "`" + name + "`"
		}
		return word
	})
	return strings.ReplaceAll(text, "|", `\|`)
}

func addNames(names map[string]string, t reflect.Type, path string) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Type.Kind() == reflect.Struct {
			addNames(names, f.Type, path+key+".")
			continue
		}
		names[f.Name] = path + key
	}
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := 0; ; i++ {
		switch {
		case i >= len(a):
			return "missing at the end: " + strconv.Quote(b[i])
		case i >= len(b):
			return "too much at the end: " + strconv.Quote(a[i])
		case a[i] != b[i]:
			return fmt.Sprintf("line %d is\n%s\nwant\n%s", i+1, a[i], b[i])
		}
	}
}
