package compose

import (
	"encoding/json"
	"fmt"
	"go/version"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
)

// dockerfile is what the tests look at of a Dockerfile.
type dockerfile struct {
	from       []string
	packages   []string          // of go build
	copies     map[string]string // where single files of the repository are in the image
	owned      []string          // folders that are given to the user
	user       string
	data       string // the volume
	env        map[string]string
	ports      []int
	entrypoint []string
	command    []string
}

func readDockerfile(t *testing.T) dockerfile {
	t.Helper()
	d, err := parseDockerfile(read(t, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// continued is the end of a line that goes on in the next one.
var continued = regexp.MustCompile(`\\\n\s*`)

// parseDockerfile reads the instructions that the Dockerfile of this
// repository uses. An instruction that it does not know is an error.
func parseDockerfile(text string) (dockerfile, error) {
	d := dockerfile{env: make(map[string]string), copies: make(map[string]string)}
	for line := range strings.SplitSeq(continued.ReplaceAllString(text, ""), "\n") {
		instruction, rest, _ := strings.Cut(line, " ")
		words := strings.Fields(rest)
		var err error
		switch instruction {
		case "", "#", "WORKDIR":
		case "FROM":
			d.from = append(d.from, words[0])
			d.user, d.command, d.entrypoint = "", nil, nil // of the new stage
		case "RUN":
			if i := slices.Index(words, "build"); i > 0 && words[i-1] == "go" {
				d.packages = append(d.packages, packageArgs(words[i+1:])...)
			}
			if i := slices.Index(words, "chown"); i > 0 {
				d.owned = append(d.owned, words[i+2:]...)
			}
		case "COPY":
			if !strings.Contains(rest, "--from=") && words[0] != "." {
				words = slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "--") })
				target := words[len(words)-1]
				for _, file := range words[:len(words)-1] {
					if d.copies[file] = target; strings.HasSuffix(target, "/") {
						d.copies[file] = target + path.Base(file)
					}
				}
			}
		case "ENV":
			name, value, _ := strings.Cut(rest, "=")
			d.env[name] = value
		case "USER":
			d.user = rest
		case "VOLUME":
			d.data = rest
		case "EXPOSE":
			for _, w := range words {
				port, convErr := strconv.Atoi(w)
				d.ports, err = append(d.ports, port), convErr
			}
		case "ENTRYPOINT":
			err = json.Unmarshal([]byte(rest), &d.entrypoint)
		case "CMD":
			err = json.Unmarshal([]byte(rest), &d.command)
		default:
			err = fmt.Errorf("no test knows this instruction")
		}
		if err != nil {
			return dockerfile{}, fmt.Errorf("Dockerfile: %s: %w", line, err)
		}
	}
	return d, nil
}

// packageArgs returns the packages among the arguments of go build.
func packageArgs(args []string) []string {
	var packages []string
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "-o":
			i++
		case !strings.HasPrefix(args[i], "-"):
			packages = append(packages, args[i])
		}
	}
	return packages
}

// checkDockerfile returns what is wrong with a Dockerfile.
func checkDockerfile(text string) []string {
	d, err := parseDockerfile(text)
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	for _, image := range d.from {
		if !exactTag.MatchString(image) {
			problems = append(problems, "base image "+image+" has no exact tag")
		}
	}
	if len(d.from) < 2 {
		problems = append(problems, "the image holds what it was built with: use two stages")
	}
	if d.user == "" || d.user == "root" || d.user == "0" {
		problems = append(problems, "the service runs as root")
	}
	if d.data == "" || d.env["IPFS_CLUSTER_PATH"] != d.data {
		problems = append(problems, fmt.Sprintf("IPFS_CLUSTER_PATH is %q, the volume is %q", d.env["IPFS_CLUSTER_PATH"], d.data))
	}
	for _, variable := range []string{"IPFS_CLUSTER_PATH", "GATEWAY_PATH", "BILLING_PATH"} {
		if !slices.Contains(d.owned, d.env[variable]) {
			problems = append(problems, fmt.Sprintf("%s is %q, which the user does not own", variable, d.env[variable]))
		}
	}
	if !slices.Contains(d.packages, "./cmd/ipfs-cluster-service") || !slices.Contains(d.packages, "./cmd/pin-gateway") || !slices.Contains(d.packages, "./cmd/pin-billing") {
		problems = append(problems, fmt.Sprintf("packages %q are not all that is to be built", d.packages))
	}
	if len(d.entrypoint) == 0 || len(d.command) == 0 {
		problems = append(problems, "ENTRYPOINT or CMD is missing")
	} else if !slices.Equal(d.entrypoint, []string{d.copies[entrypoint]}) {
		problems = append(problems, fmt.Sprintf("ENTRYPOINT %q is not %s", d.entrypoint, entrypoint))
	}
	if d.copies[gatewayScript] == "" {
		problems = append(problems, gatewayScript+" is not in the image")
	}
	if file := d.env[config.FileVariable]; file == "" || file != d.copies[gatewayConfig] {
		problems = append(problems, fmt.Sprintf("%s is %q, which is not %s", config.FileVariable, file, gatewayConfig))
	}
	return problems
}

// TestDockerfile checks what can be known of an image without building it.
func TestDockerfile(t *testing.T) {
	text := read(t, "Dockerfile")
	for _, problem := range checkDockerfile(text) {
		t.Error(problem)
	}
	d := readDockerfile(t)
	if goVersion := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "go.mod")); goVersion == nil {
		t.Error("go.mod names no Go version")
	} else if built, _, _ := strings.Cut(strings.TrimPrefix(d.from[0], "golang:"), "-"); version.Lang("go"+built) != version.Lang("go"+goVersion[1]) ||
		version.Compare("go"+built, "go"+goVersion[1]) < 0 {
		t.Errorf("built by %s, go.mod wants Go %s", d.from[0], goVersion[1])
	}
	if len(d.packages) == 0 {
		t.Fatal("the Dockerfile builds no package")
	}
	list := exec.Command("go", append([]string{"list", "-f", "{{.Name}}"}, d.packages...)...)
	list.Dir = root
	out, err := list.CombinedOutput()
	if err != nil {
		t.Fatalf("go list %q: %v\n%s", d.packages, err, out)
	}
	if names := strings.Fields(string(out)); len(names) != len(d.packages) || slices.ContainsFunc(names, func(n string) bool { return n != "main" }) {
		t.Errorf("packages %q are not commands: %q", d.packages, names)
	}
	for file := range d.copies {
		read(t, file)
	}
}
