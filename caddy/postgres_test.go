package main

import (
	"bufio"
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
	"syscall"
	"testing"
	"time"
)

// postgresPassword is looked for wherever no secret may be.
const postgresPassword = "c4nary?postgres&0123456789"

// postgresServer is a real PostgreSQL server of a test's own, on a port of 127.0.0.1.
type postgresServer struct {
	t         *testing.T
	dir, port string
	programs  string               // where initdb and postgres are
	owner     *syscall.SysProcAttr // PostgreSQL refuses to run as root
	cmd       *exec.Cmd
	log       chan struct{} // closed once the process wrote its last line
}

func startPostgres(t *testing.T) *postgresServer {
	s := newPostgres(t)
	s.start()
	return s
}

// newPostgres is an initialised server that does not run yet.
func newPostgres(t *testing.T) *postgresServer {
	t.Helper()
	s := &postgresServer{t: t, port: strconv.Itoa(freePort(t)), programs: postgresPrograms(t)}
	// Not below t.TempDir, which is the test's user's alone.
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	s.dir = dir
	t.Cleanup(func() {
		s.kill()
		os.RemoveAll(dir)
	})
	s.disown(dir)
	s.initialise()
	return s
}

// postgresPrograms is the directory of initdb and postgres. Debian keeps each version's outside the PATH.
func postgresPrograms(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil { // only some of its fellows may be linked
			return filepath.Dir(path)
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		t.Fatal("there is no initdb; install PostgreSQL, as with `apt-get install postgresql` or `brew install postgresql`")
	}
	return filepath.Dir(slices.Max(found))
}

// initialise makes the server's files. initdb is slow, so that it runs once, and later servers begin with a copy.
func (s *postgresServer) initialise() {
	s.t.Helper()
	template, data := filepath.Join(filepath.Dir(binary), "postgres"), filepath.Join(s.dir, "data")
	if _, err := os.Stat(template); err == nil {
		s.copy(template, data)
		return
	}
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(postgresPassword), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.disown(secret)
	initdb := s.command("initdb", "--pgdata", data, "--username", "gateway", "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		s.t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.copy(data, template)
}

func (s *postgresServer) copy(from, to string) {
	s.t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		s.t.Fatalf("copying the server's files: %v\n%s", err, out)
	}
}

// disown gives a file to the user that the server runs as, where we are root.
func (s *postgresServer) disown(path string) {
	s.t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		s.t.Fatal(err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	s.owner = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if err := os.Chown(path, uid, gid); err != nil {
		s.t.Fatal(err)
	}
}

func (s *postgresServer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.programs, name), args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, s.owner
	return cmd
}

// start runs the server and waits until it is ready. It tries again while the remains of a killed one are in the way.
func (s *postgresServer) start() {
	s.t.Helper()
	poll(s.t, 30*time.Second, "PostgreSQL to be ready", s.launch)
}

func (s *postgresServer) launch() bool {
	cmd := s.command("postgres", "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-h", "127.0.0.1", "-p", s.port,
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=16MB")
	log, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ready, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "ready to accept connections") {
				close(ready)
				break
			}
		}
		io.Copy(io.Discard, log) //nolint:errcheck // read so that the server never waits
	}()
	select {
	case <-ready:
		s.cmd, s.log = cmd, done
		return true
	case <-done:
		cmd.Wait() //nolint:errcheck // it is tried again
		return false
	}
}

// kill is kill -9: no connection is closed in order.
func (s *postgresServer) kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-s.log
	s.cmd.Wait() //nolint:errcheck // it was killed
	s.cmd = nil
}

// elsewhere runs the server where no gateway looks for it, does something there, and ends it.
func (s *postgresServer) elsewhere(do func()) {
	s.t.Helper()
	port := s.port
	s.port = strconv.Itoa(freePort(s.t))
	s.start()
	do()
	s.kill()
	s.port = port
}

// sql runs a statement and returns what psql prints of its rows.
func (s *postgresServer) sql(statement string) string {
	s.t.Helper()
	out, err := s.command("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1", "--command", statement, s.url()).Output()
	if err != nil {
		s.t.Fatalf("psql: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// url is what DATABASE_URL holds.
func (s *postgresServer) url() string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("gateway", postgresPassword), Host: net.JoinHostPort("127.0.0.1", s.port), Path: "/postgres"}
	return u.String()
}

// dump is all that the server keeps, as SQL.
func (s *postgresServer) dump() string {
	s.t.Helper()
	out, err := s.command("pg_dump", s.url()).Output()
	if err != nil {
		s.t.Fatalf("pg_dump: %v", err)
	}
	return string(out)
}
