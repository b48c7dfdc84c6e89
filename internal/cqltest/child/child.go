// Package child starts processes that cannot outlive the one that started
// them: when the parent ends, also by kill -9, the kernel kills the child.
package child

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Process is a running child. Its methods may be called from any goroutine.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // set before exited is closed
}

// Start starts cmd with SIGKILL as its parent-death signal, besides whatever
// SysProcAttr the caller has set. The caller must not call cmd.Wait.
func Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel sends the signal when the thread that forked ends, not
		// when the process does. The thread is held as long as the child runs.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed once the child has ended and was reaped.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Wait waits for the end of the child and returns what exec.Cmd.Wait does.
func (p *Process) Wait() error {
	<-p.exited
	return p.err
}

// Signal sends sig to the child. It returns os.ErrProcessDone if the child
// has ended.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.cmd.Path, err)
	}
	return nil
}

// Kill kills the child and returns when it is gone. A child that has ended
// already is no error.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only if the child has ended
	<-p.exited
}
