package keycloaktest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

const (
	version  = "26.4.7"
	artifact = "org.keycloak:keycloak-quarkus-dist:" + version + ":tar.gz"
	archive  = "keycloak-quarkus-dist-" + version + ".tar.gz"
	checksum = "aca60ab72ae4d67adc6b8fe7fca5e08d16a6bb5e4a4f2ebb54050e3f5503fd2b" // SHA-256 of the archive
	// database is what Keycloak is built for: it cannot change when it starts.
	database = "dev-mem"
)

const installJava = "install it with: sudo apt-get install -y openjdk-17-jre-headless (or point JAVA_HOME at a JDK 17)"

// findJava returns the java command of JAVA_HOME, else that of PATH.
func findJava() (string, error) {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	java, err := exec.LookPath(java)
	if err != nil {
		return "", fmt.Errorf("no java: %w; %s", err, installJava)
	}
	return java, nil
}

// findHome returns the directory of a Keycloak that is ready to start, which nobody writes
// to. The first call on a machine makes it; two first calls at once make one.
func findHome(ctx context.Context, java string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory for Keycloak: %w (set HOME or XDG_CACHE_HOME)", err)
	}
	base := filepath.Join(cache, "ipfs-cluster-scylla")
	home := filepath.Join(base, "keycloak-"+version+"-"+database)
	if exists(home) {
		return home, nil
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("make cache directory: %w", err)
	}
	lock, err := child.Lock(home + ".lock")
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if exists(home) {
		return home, nil // another process made it meanwhile
	}
	if err := makeHome(ctx, java, base, home); err != nil {
		return "", err
	}
	return home, nil
}

// makeHome makes a Keycloak in a temporary directory, which it renames to home once it is
// complete.
func makeHome(ctx context.Context, java, base, home string) (err error) {
	tmp, err := os.MkdirTemp(base, "keycloak-")
	if err != nil {
		return fmt.Errorf("make directory for Keycloak: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := fetch(ctx, tmp); err != nil {
		return err
	}
	fresh := filepath.Join(tmp, "home")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return fmt.Errorf("make directory for Keycloak: %w", err)
	}
	if err := run(ctx, tmp, "tar", "-xzf", archive, "--strip-components=1", "-C", fresh); err != nil {
		return err
	}
	if err := run(ctx, tmp, java, command(fresh, "build", "--db="+database)...); err != nil {
		return err
	}
	if err := os.Rename(fresh, home); err != nil {
		return fmt.Errorf("move Keycloak into place: %w", err)
	}
	return nil
}

// fetch has Maven copy the archive into a directory.
func fetch(ctx context.Context, dir string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("no mvn to fetch Keycloak with: %w; install it with: sudo apt-get install -y maven", err)
	}
	if err := run(ctx, dir, mvn, "-q", "-B", "--strict-checksums", "dependency:copy", "-Dartifact="+artifact, "-DoutputDirectory=."); err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(dir, archive))
	if err != nil {
		return fmt.Errorf("no Keycloak from Maven: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("read %s: %w", archive, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != checksum {
		return fmt.Errorf("%s has the SHA-256 %s, not %s", archive, got, checksum)
	}
	return nil
}

// command returns the arguments of java that run a Keycloak, as its own script does, which
// would stay between it and us.
func command(home string, args ...string) []string {
	return append([]string{
		"-Xms64m", "-Xmx384m", "-XX:MaxMetaspaceSize=256m", "-XX:+ExitOnOutOfMemoryError",
		"--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
		"--add-opens=java.base/java.security=ALL-UNNAMED",
		"-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8", "-Djava.security.egd=file:/dev/urandom",
		"-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
		"-Djava.util.logging.manager=org.jboss.logmanager.LogManager", "-Dpicocli.disable.closures=true",
		"-Dkc.home.dir=" + home, "-Djboss.server.config.dir=" + filepath.Join(home, "conf"),
		"-cp", filepath.Join(home, "lib", "quarkus-run.jar"), "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
	}, args...)
}

// run runs a program in a directory. An error has what it printed.
func run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if out, err := child.Output(ctx, cmd); err != nil {
		return fmt.Errorf("%s, to get Keycloak %s: %w\n%s", filepath.Base(program), version, err, out)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
