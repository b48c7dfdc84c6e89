package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// patience is how long a test waits for what takes moments.
const patience = 60 * time.Second

// answer is the status and the body of a request. Each has a connection of its own.
func answer(client *http.Client, method, url string) string {
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err.Error()
	}
	request.Close = true
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", response.StatusCode, strings.TrimSpace(string(body)))
}

// output can be read while a process writes to it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// errorText is the text of an error, empty for none.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestServe runs the command as a process: it serves what init has written, a signal ends it
// with exit code 0, and a second one ends it at once.
func TestServe(t *testing.T) {
	server := cqltest.Start(t)
	t.Setenv("PIN_GATEWAY_DATABASE_HOSTS", strings.Join(server.Hosts(), ","))
	t.Setenv("PIN_GATEWAY_DATABASE_PORT", strconv.Itoa(server.Port()))
	t.Setenv("PIN_GATEWAY_DATABASE_KEYSPACE", server.Emptied(t))
	folder := initialized(t)
	// The second signal of the second turn does not wait for the delay.
	for signal, delay := range map[syscall.Signal]string{syscall.SIGTERM: "0s", syscall.SIGINT: "5m"} {
		process := exec.Command(os.Args[0], "--config", filepath.Join(folder, config.FileName), "serve")
		process.Env = append(os.Environ(), asCommand+"=1", "PIN_GATEWAY_LISTEN=127.0.0.1:0", "PIN_GATEWAY_SHUTDOWN_DELAY="+delay, "PIN_GATEWAY_METRICS_LISTEN=127.0.0.1:0")
		out := &output{}
		process.Stdout, process.Stderr = out, out
		process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		must(t, process.Start())
		ended := make(chan error, 1)
		go func() { ended <- process.Wait() }()
		var address string
		for deadline := time.Now().Add(patience); address == ""; {
			if m := regexp.MustCompile(`serving http://127\.0\.0\.1:9098 on (\S+)`).FindStringSubmatch(out.String()); m != nil {
				address = m[1]
			}
			if time.Now().After(deadline) {
				t.Fatalf("it does not serve:\n%s", out)
			}
			time.Sleep(time.Millisecond) // the process has nothing else that could be waited for
		}
		if got := answer(http.DefaultClient, "GET", "http://"+address+"/health"); got != `200 {"status":"ok"}` {
			t.Errorf("/health: %s", got)
		}
		if got := answer(http.DefaultClient, "GET", "http://"+address+"/metrics"); !strings.HasPrefix(got, "404") {
			t.Errorf("/metrics is told to all: %s", got)
		}
		if metrics := regexp.MustCompile(`telling metrics on (\S+)`).FindStringSubmatch(out.String()); metrics == nil {
			t.Errorf("it does not say where metrics are:\n%s", out)
		} else if got := answer(http.DefaultClient, "GET", metrics[1]); !strings.HasPrefix(got, "200") || !strings.Contains(got, "\npin_gateway_policy_info{version=") {
			t.Errorf("%s: %s", metrics[1], got)
		} else if got := answer(http.DefaultClient, "GET", strings.Replace(metrics[1], "/metrics", "/readyz", 1)); !strings.HasPrefix(got, "200") || !strings.Contains(got, `"name": "database"`) {
			t.Errorf("/readyz: %s", got)
		}
		must(t, process.Process.Signal(signal))
		want := ""
		if signal == syscall.SIGINT {
			for !strings.HasPrefix(answer(http.DefaultClient, "GET", "http://"+address+"/health"), "503") {
				select {
				case err := <-ended:
					t.Fatalf("one %v ends it, with %v:\n%s", signal, err, out)
				case <-time.After(time.Millisecond): // as above
				}
			}
			go func() { // one that comes in the first moment may be lost
				for process.Process.Signal(signal) == nil {
					time.Sleep(time.Millisecond)
				}
			}()
			want = "signal: interrupt"
		}
		select {
		case err := <-ended:
			if got := errorText(err); got != want {
				t.Errorf("after %v: %s\n%s", signal, got, out)
			}
		case <-time.After(patience):
			t.Errorf("%v does not end it:\n%s", signal, out)
			must(t, process.Process.Kill())
		}
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	t.Setenv("PIN_GATEWAY_LISTEN", listener.Addr().String())
	checkRefused(t, folder, []refusal{{args: []string{"serve"}, want: fmt.Sprintf("listening on %s: listen tcp %s: bind: address already in use", listener.Addr(), listener.Addr())}})
	t.Setenv("PIN_GATEWAY_LISTEN", "127.0.0.1:0")
	t.Setenv("PIN_GATEWAY_METRICS_LISTEN", listener.Addr().String())
	checkRefused(t, folder, []refusal{{args: []string{"serve"}, want: fmt.Sprintf("metrics_listen: another process listens on %s already: use another port, or \"\" for no listener: listen tcp %[1]s: bind: address already in use", listener.Addr())}})
}
