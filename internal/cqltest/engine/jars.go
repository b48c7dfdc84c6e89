package engine

import (
	"bytes"
	"context"
	_ "embed" // for the pom
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// cassandraVersion is the version that pom.xml names.
const cassandraVersion = "5.0.9"

//go:embed pom.xml
var pom []byte

const installJava = "install it with: sudo apt-get install -y openjdk-17-jre-headless (or point JAVA_HOME at a JDK 17)"

// findJava returns the java command of JAVA_HOME, else that of PATH. Cassandra
// 5.0 runs on Java 17 and not on what came after.
func findJava(ctx context.Context) (string, error) {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	java, err := exec.LookPath(java)
	if err != nil {
		return "", fmt.Errorf("no java: %w; %s", err, installJava)
	}
	out, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s -version: %w: %s", java, err, out)
	}
	m := regexp.MustCompile(`version "(\d+)`).FindSubmatch(out)
	if m == nil || string(m[1]) != "17" {
		first, _, _ := strings.Cut(string(out), "\n")
		return "", fmt.Errorf("%s is not Java 17 (%s), which Cassandra %s needs; %s", java, first, cassandraVersion, installJava)
	}
	return java, nil
}

// jars returns the directory with the jars of Cassandra. The first call on a
// machine has Maven fetch them, 66 MB, into the user's cache directory; two
// first calls at once fetch once.
func jars(ctx context.Context, opts Options) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory for the jars of Cassandra: %w (set HOME or XDG_CACHE_HOME)", err)
	}
	base := filepath.Join(cache, "ipfs-cluster-scylla")
	lib := filepath.Join(base, "cassandra-"+cassandraVersion)
	if exists(lib) {
		return lib, nil
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("make cache directory: %w", err)
	}
	lock, err := waitLock(ctx, lib+".lock")
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if exists(lib) {
		return lib, nil // another process fetched them meanwhile
	}
	opts.say("fetching Apache Cassandra %s with Maven (66 MB, about half a minute, once per machine)", cassandraVersion)
	if err := fetch(ctx, base, lib); err != nil {
		return "", err
	}
	return lib, nil
}

// fetch has Maven copy the jars to a temporary directory and renames it to
// lib once it is complete.
func fetch(ctx context.Context, base, lib string) (err error) {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("no mvn to fetch Cassandra with: %w; install it with: sudo apt-get install -y maven", err)
	}
	tmp, err := os.MkdirTemp(base, "fetch-")
	if err != nil {
		return fmt.Errorf("make directory for the jars: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := os.WriteFile(filepath.Join(tmp, "pom.xml"), pom, 0o600); err != nil {
		return fmt.Errorf("write pom: %w", err)
	}
	var out bytes.Buffer
	// The command is passed on by a shell script that replaces itself with
	// java, so the parent-death signal stays.
	cmd := exec.Command(mvn, "-q", "-B", "--strict-checksums", "dependency:copy-dependencies", "-DoutputDirectory=lib")
	cmd.Dir, cmd.Stdout, cmd.Stderr = tmp, &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p, err := child.Start(cmd)
	if err != nil {
		return err
	}
	select {
	case <-p.Exited():
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("fetch Cassandra: %w", ctx.Err())
	}
	if err := p.Wait(); err != nil {
		return fmt.Errorf("mvn could not fetch Cassandra %s: %w\n%s", cassandraVersion, err, out.Bytes())
	}
	if err := os.Rename(filepath.Join(tmp, "lib"), lib); err != nil {
		return fmt.Errorf("move the jars into place: %w", err)
	}
	return nil
}

// waitLock is tryLock that waits for its turn.
func waitLock(ctx context.Context, path string) (*os.File, error) {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		f, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another process fetches Cassandra: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
