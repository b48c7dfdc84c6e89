package settings

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"strings"
)

// maxSecret bounds a file, in bytes.
const maxSecret = 1 << 20

// Files reads the files that a configuration names, and notes those that cannot be used. No Problem
// has anything of what is in them.
type Files struct {
	// Folder is where names of files start that are not absolute.
	Folder string
	// Live refuses secrets that everybody on this machine may use.
	Live     bool
	Problems Problems
}

// Resolve returns the name of a file as seen from the working directory.
func (r *Files) Resolve(file string) string { return Resolve(r.Folder, file) }

// Read returns what is in a file, nil if it cannot be used.
func (r *Files) Read(field, name string, secret bool) []byte {
	name = r.Resolve(name)
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		r.Problems.Add(field, "names %s, which does not exist: correct the name, or make the file", name)
		return nil
	}
	if err != nil {
		r.Problems.Add(field, "cannot be read: %v", err)
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		r.Problems.Add(field, "names %s, which is not a file: name one", name)
		return nil
	}
	if secret && r.Live && info.Mode().Perm()&0o007 != 0 {
		r.Problems.Add(field, "names %s, which everybody on this machine may use (mode %04o): chmod o= %s", name, info.Mode().Perm(), name)
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		r.Problems.Add(field, "cannot be read: %v", err)
	case len(text) == 0:
		r.Problems.Add(field, "names %s, which is empty: fill it", name)
	case len(text) > maxSecret:
		r.Problems.Add(field, "names %s, which has more than %d bytes: it is another file", name, maxSecret)
	default:
		return text
	}
	return nil
}

// Password returns the one line of a file, without a line break at its end.
func (r *Files) Password(field, name string) string {
	text := r.Read(field, name, true)
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if text != nil && (password == "" || strings.ContainsAny(password, "\r\n\x00")) {
		r.Problems.Add(field, "names %s, which is not one line with a password: write it there", r.Resolve(name))
	}
	return password
}

// Certificate returns a certificate and its key, nil if they cannot be used. The fields are
// tls.cert_file and tls.key_file.
func (r *Files) Certificate(certFile, keyFile string) *tls.Certificate {
	cert, key := r.Read("tls.cert_file", certFile, false), r.Read("tls.key_file", keyFile, true)
	if cert == nil || key == nil {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		r.Problems.Add("tls.cert_file", "and tls.key_file cannot be used together: %v", err)
		return nil
	}
	return &pair
}

// Authorities looks whether a file has certificates.
func (r *Files) Authorities(field, name string) {
	text := r.Read(field, name, false)
	if text != nil && !x509.NewCertPool().AppendCertsFromPEM(text) {
		r.Problems.Add(field, "names %s, which has no certificate in PEM format: name another", r.Resolve(name))
	}
}
