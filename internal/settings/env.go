package settings

import (
	"encoding"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// FileVariable has the name of the file, in place of the flag --config.
func (p Program) FileVariable() string { return p.Prefix + "CONFIG" }

// LevelVariable has the levels of what is logged, in place of the flag --loglevel.
func (p Program) LevelVariable() string { return p.Prefix + "LOGLEVEL" }

// Variables returns the names of the environment variables of a configuration, a pointer to a
// struct, by the paths of their fields.
func (p Program) Variables(configuration any) map[string]string {
	names := make(map[string]string)
	eachField("", reflect.ValueOf(configuration).Elem(), func(path string, _ reflect.Value) { names[path] = p.variable(path) })
	return names
}

// variable is the name of the variable of a field.
func (p Program) variable(path string) string {
	return p.Prefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// eachField calls f with each field that is one value: a text, a number, a list.
func eachField(path string, v reflect.Value, f func(path string, v reflect.Value)) {
	for i := range v.NumField() {
		name := fieldName(v.Type().Field(i))
		switch {
		case name == "":
		case isObject(v.Field(i).Type()):
			eachField(join(path, name), v.Field(i), f)
		default:
			f(join(path, name), v.Field(i))
		}
	}
}

// applyEnv sets the fields whose variables are in an environment, and returns those
// variables by their fields, and what is wrong.
func (p Program) applyEnv(environ []string, into reflect.Value) (set map[string]string, problems Problems) {
	values := make(map[string]string)
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, p.Prefix) && name != p.FileVariable() && name != p.LevelVariable() && !p.ofKubernetes(name) {
			values[name] = value
		}
	}
	d := &decoder{}
	set = make(map[string]string)
	var known []string
	eachField("", into, func(path string, v reflect.Value) {
		name := p.variable(path)
		known = append(known, strings.TrimPrefix(name, p.Prefix))
		if value, ok := values[name]; ok {
			delete(values, name)
			set[path] = name
			d.text(path, value, v)
		}
	})
	for _, name := range slices.Sorted(maps.Keys(values)) {
		advice := meant(strings.TrimPrefix(name, p.Prefix), known, "correct its name, or remove it")
		if suggestion, ok := strings.CutPrefix(advice, "did you mean "); ok {
			advice = "did you mean " + p.Prefix + strings.ReplaceAll(suggestion, " or ", " or "+p.Prefix)
		}
		d.problems.Add("environment variable "+name, "sets nothing: %s", advice)
	}
	d.problems.Blame(set)
	return set, d.problems
}

// ofKubernetes tells the variables that Kubernetes sets in every container where there is a
// service with the name of the program.
func (p Program) ofKubernetes(name string) bool {
	return regexp.MustCompile(`^` + p.Prefix + `(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_.+)?)$`).MatchString(name)
}

// text sets a field by the text of a variable.
func (d *decoder) text(path, text string, to reflect.Value) {
	ok := true
	switch t := to.Type(); {
	case isText(t):
		reader, is := to.Addr().Interface().(encoding.TextUnmarshaler)
		ok = is && reader.UnmarshalText([]byte(text)) == nil
	case t.Kind() == reflect.String:
		to.SetString(text)
	case t.Kind() == reflect.Slice && isObject(t.Elem()):
		if problem := checkSyntax([]byte(text)); problem != nil {
			d.problems.Add(path, "is not JSON: write a list of objects, or put it into the file")
			return
		}
		d.value(path, []byte(text), to)
	case t.Kind() == reflect.Slice:
		ok = setList(text, to)
	case t.Kind() == reflect.Map:
		ok = setMap(text, to)
	default:
		ok = setScalar(text, to)
	}
	if !ok {
		k := kindOf(to.Type())
		d.problems.Add(path, "is not %s: write it as in %s", k.name, k.inText)
	}
}

// setList sets a list of texts or numbers, with commas between them.
func setList(text string, to reflect.Value) bool {
	list := reflect.MakeSlice(to.Type(), 0, 0)
	for _, part := range strings.Split(text, ",") {
		if text == "" {
			break
		}
		element := reflect.New(to.Type().Elem()).Elem()
		if !setScalar(strings.TrimSpace(part), element) {
			return false
		}
		list = reflect.Append(list, element)
	}
	to.Set(list)
	return true
}

// setMap sets numbers by names, as in dc1:3,dc2:3.
func setMap(text string, to reflect.Value) bool {
	m := reflect.MakeMap(to.Type())
	for _, part := range strings.Split(text, ",") {
		if text == "" {
			break
		}
		name, number, _ := strings.Cut(strings.TrimSpace(part), ":")
		element := reflect.New(to.Type().Elem()).Elem()
		if name == "" || m.MapIndex(reflect.ValueOf(name)).IsValid() || !setScalar(number, element) {
			return false
		}
		m.SetMapIndex(reflect.ValueOf(name), element)
	}
	to.Set(m)
	return true
}

// setScalar sets a text, a number, or true or false.
func setScalar(text string, to reflect.Value) bool {
	switch to.Kind() {
	case reflect.String:
		to.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		to.SetBool(b)
		return err == nil
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, to.Type().Bits())
		to.SetInt(n)
		return err == nil
	case reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, 64)
		to.SetUint(n)
		return err == nil
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		to.SetFloat(n)
		return err == nil
	default:
		return false
	}
	return true
}
