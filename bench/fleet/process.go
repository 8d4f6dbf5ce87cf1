// Package fleet starts what is measured and what it needs, each on its own processor, and ends it again.
package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-llm/caddy-llm/bench/machine"
)

// Fleet is the processes that were started. It is used by one goroutine.
type Fleet struct {
	Cores Cores
	dir   string
	all   []*Process
}

// New makes a fleet whose files are in a directory of its own, which Stop removes.
func New(cores Cores) (*Fleet, error) {
	// A short path: the name of a unix socket has little room.
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	return &Fleet{Cores: cores, dir: dir}, nil
}

// Stop ends all processes and removes their files.
func (f *Fleet) Stop() {
	for _, p := range f.all {
		if !p.stopped {
			p.signal(syscall.SIGTERM)
		}
	}
	for _, p := range f.all {
		p.Stop()
	}
	os.RemoveAll(f.dir) //nolint:errcheck // they are temporary
}

// Command says what to run.
type Command struct {
	Name  string
	Args  []string
	Env   []string // beside PATH and a HOME of its own
	Cores string   // as taskset has them
	Dir   string   // its home; a new one where it is empty
	Port  int      // it is up once it listens here
}

// Process is one of the fleet.
type Process struct {
	Command
	ID      int
	log     string
	exited  chan struct{}
	stopped bool
}

// Start runs a command and waits until it listens. That nobody else listens on its port is checked.
func (f *Fleet) Start(ctx context.Context, command Command) (*Process, error) {
	p, err := f.launch(command)
	if err != nil {
		return nil, err
	}
	if err := p.await(ctx, func() bool { return Reachable(ctx, command.Port) }); err != nil {
		return nil, err
	}
	return p, p.holdsAlone(p.Port)
}

// launch runs a command and waits for nothing.
func (f *Fleet) launch(command Command) (*Process, error) {
	if command.Dir == "" {
		var err error
		if command.Dir, err = f.Home(); err != nil {
			return nil, err
		}
	}
	p := &Process{Command: command, log: filepath.Join(command.Dir, "log"), exited: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making a log: %w", err)
	}
	defer log.Close()                                                                         //nolint:errcheck // the process writes to its own
	cmd := exec.Command("taskset", append([]string{"-c", command.Cores}, command.Args...)...) //nolint:noctx // Stop ends it gently
	cmd.Dir, cmd.Stdout, cmd.Stderr = command.Dir, log, log
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + command.Dir, "XDG_DATA_HOME=" + command.Dir, "XDG_CONFIG_HOME=" + command.Dir}, command.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that Ctrl-C reaches us alone, and we reach its children
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", command.Name, err)
	}
	p.ID = cmd.Process.Pid
	go func() {
		cmd.Wait() //nolint:errcheck // who waits for it looks at its log
		close(p.exited)
	}()
	f.all = append(f.all, p)
	return p, nil
}

// Home is a new directory for a process.
func (f *Fleet) Home() (string, error) {
	dir, err := os.MkdirTemp(f.dir, "p")
	if err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	return dir, nil
}

// await polls until something is so, the process ends or a minute has passed.
func (p *Process) await(ctx context.Context, so func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("%s is not up after a minute", p.Name))
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("%s ended at its start:\n%s", p.Name, p.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("%w\n%s", context.Cause(ctx), p.lastWords())
		}
	}
	return nil
}

// holdsAlone fails where anybody but the process and its children listens on a port.
func (p *Process) holdsAlone(port int) error {
	all, err := machine.System.Processes()
	if err != nil {
		return err
	}
	tree := machine.Tree(all, p.ID)
	holders, err := machine.System.Holders(port)
	if err != nil {
		return err
	}
	if len(holders) == 0 {
		return fmt.Errorf("nobody holds port %d of %s", port, p.Name)
	}
	for _, holder := range holders {
		if !tree[holder] {
			return fmt.Errorf("port %d of %s is held by process %d as well, which would take its calls", port, p.Name, holder)
		}
	}
	return nil
}

// Log is all that the process has written.
func (p *Process) Log() (string, error) {
	text, err := os.ReadFile(p.log)
	return string(text), err
}

func (p *Process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// Stop ends the process and its children, gently for ten seconds.
func (p *Process) Stop() {
	if p.stopped {
		return // its number may be somebody else's by now
	}
	p.stopped = true
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
	}
	p.signal(syscall.SIGKILL) // also what it has left behind
	<-p.exited
}

func (p *Process) signal(s syscall.Signal) {
	if err := syscall.Kill(-p.ID, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		fmt.Fprintf(os.Stderr, "ending %s: %v\n", p.Name, err)
	}
}

// Address is where the process listens.
func (p *Process) Address() string { return Local(p.Port) }

// Local is a port's address on this machine.
func Local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// Reachable says whether somebody listens on a port.
func Reachable(ctx context.Context, port int) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", Local(port))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// FreePort is one that nobody listens on.
func FreePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
