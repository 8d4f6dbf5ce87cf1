package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// password is looked for in every error.
const password = "c4nary?&@/:%20#word"

// shared is the server of all tests that leave theirs running.
var shared *server

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	srv, err := newServer()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer srv.remove()
	shared = srv
	code := m.Run()
	srv.kill()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// server is a PostgreSQL server in a temporary directory.
type server struct {
	dir, bin string
	port     string
	owner    *syscall.SysProcAttr // PostgreSQL refuses to run as root
	process  *exec.Cmd
	log      chan struct{} // closed once the process wrote its last line
	names    atomic.Int64
}

func newServer() (*server, error) {
	bin, err := findPrograms()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, bin: bin}
	if err := s.initialise(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// findPrograms returns the directory of initdb and postgres. Debian keeps each version's outside the PATH.
func findPrograms() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("these tests start a PostgreSQL server, and there is no initdb here: install one, " +
			"e.g. with `apt-get install postgresql` or `brew install postgresql`")
	}
	return filepath.Dir(slices.Max(found)), nil
}

func (s *server) initialise() error {
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return err
	}
	if err := s.disown(s.dir, secret); err != nil {
		return err
	}
	initdb := s.command("initdb", "--pgdata", filepath.Join(s.dir, "data"), "--username", "gateway", "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, s.port, _ = net.SplitHostPort(free.Addr().String())
	return free.Close()
}

// disown gives files to the user that the server runs as, where we are root.
func (s *server) disown(paths ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return err
	}
	s.owner = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	for _, path := range paths {
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) command(name string, args ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(s.bin, name), args...)
	command.Dir = s.dir
	command.SysProcAttr = s.owner
	return command
}

// start returns once the server is ready. It tries again while the remains of a killed one are in the way.
func (s *server) start() error {
	var err error
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		if err = s.launch(); err == nil {
			return nil
		}
	}
	return err
}

func (s *server) launch() error {
	command := s.command("postgres", "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-h", "127.0.0.1", "-p", s.port,
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "shared_buffers=16MB")
	output, err := command.StderrPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	ready, done := make(chan struct{}), make(chan struct{})
	var text strings.Builder
	go func() {
		defer close(done)
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			if text.WriteString(lines.Text() + "\n"); strings.Contains(lines.Text(), "ready to accept connections") {
				close(ready)
				break
			}
		}
		io.Copy(io.Discard, output) //nolint:errcheck // read so that the server never waits
	}()
	select {
	case <-ready:
		s.process, s.log = command, done
		return nil
	case <-done:
		return fmt.Errorf("postgres: %w\n%s", command.Wait(), text.String())
	}
}

// kill ends the server as a crash would: no connection is closed in order.
func (s *server) kill() {
	if s.process == nil {
		return
	}
	s.process.Process.Kill() //nolint:errcheck // it may have ended
	<-s.log
	s.process.Wait() //nolint:errcheck // it was killed
	s.process = nil
}

func (s *server) remove() {
	s.kill()
	os.RemoveAll(s.dir) //nolint:errcheck // a temporary directory
}

// ownServer starts a server that a test may kill.
func ownServer(t *testing.T) *server {
	t.Helper()
	s, err := newServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.remove)
	return s
}

// url names a database of the server, at its own address.
func (s *server) url(database string) string {
	return s.urlAt(net.JoinHostPort("127.0.0.1", s.port), database)
}

func (s *server) urlAt(address, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("gateway", password), Host: address, Path: "/" + database}
	return u.String()
}

// connect opens a connection that is closed with its test.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// execute runs a statement for a test.
func execute(t testing.TB, url, statement string) {
	t.Helper()
	if _, err := connect(t, url).Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// newDatabase makes an empty database and returns its URL.
func (s *server) newDatabase(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.names.Add(1))
	execute(t, s.url("postgres"), "CREATE DATABASE "+name)
	return s.url(name)
}
