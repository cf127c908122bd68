package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrMissing says that no PostgreSQL server is installed here.
var ErrMissing = errors.New("no PostgreSQL server is installed (Debian: apt-get install postgresql)")

// The server's one user, who may do everything.
const (
	superuser = "whiskaway"
	password  = "p@ss/word?"
)

// startsWithin bounds the wait for the server's first answer.
const startsWithin = time.Minute

// A Server is a running PostgreSQL server. It is reached through a socket in its
// own directory.
type Server struct {
	bin, dir  string
	owner     *owner
	databases atomic.Int64

	cmd  *exec.Cmd
	done chan struct{} // closed when the server has ended
	log  *os.File
}

// Start makes an empty server and waits until it answers. It does not wait for
// the disk: a power cut may break it.
func Start(ctx context.Context) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	if s.owner, err = newOwner(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "postgres-"); err != nil {
		return nil, fmt.Errorf("making a directory for PostgreSQL: %w", err)
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// find returns the directory of the programs: of the postgres on PATH, or of
// Debian's newest.
func find() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	newest, bin := 0, ""
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is good
	for _, dir := range dirs {
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && version > newest {
			newest, bin = version, dir
		}
	}
	if bin == "" {
		return "", ErrMissing
	}
	return bin, nil
}

func (s *Server) begin(ctx context.Context) error {
	if err := s.owner.give(s.dir); err != nil {
		return err
	}
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return fmt.Errorf("writing PostgreSQL's password: %w", err)
	}
	if err := s.owner.give(secret); err != nil {
		return err
	}
	init := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "--pgdata", s.data(), "--username", superuser, "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	init.Dir, init.SysProcAttr = s.dir, s.owner.attr()
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return s.Run(ctx)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Run starts the server again, after Kill.
func (s *Server) Run(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("making PostgreSQL's log: %w", err)
	}
	s.log = log
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data(), "-k", s.dir,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=32MB")
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.dir, log, log, s.owner.attr()
	started, done := make(chan error), make(chan struct{})
	go func() { // Stop and Kill wait for it
		defer close(done)
		runtime.LockOSThread() // the kernel's signal at our end follows the thread
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	s.cmd, s.done = cmd, done
	return s.await(ctx)
}

// await waits until the server answers.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startsWithin)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.done:
			return fmt.Errorf("PostgreSQL ended: %s", s.said())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, s.said())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *Server) said() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

// URL is how its user reaches a database, password and all.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, password), Path: "/" + database,
		RawQuery: url.Values{"host": {s.dir}}.Encode()}
	return u.String()
}

// Database makes an empty database and returns its URL.
func (s *Server) Database(ctx context.Context) (string, error) {
	name := fmt.Sprint("test", s.databases.Add(1))
	if err := s.Exec(ctx, "postgres", "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	return s.URL(name), nil
}

// Exec runs a statement in a database.
func (s *Server) Exec(ctx context.Context, database, statement string) error {
	conn, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// Kill ends the server at once, as a crash would; Run starts it again.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGQUIT) // it kills its own processes and writes nothing
	<-s.done
	s.cmd = nil
	s.log.Close()
}

// Stop ends the server and removes all that it had.
func (s *Server) Stop() error {
	s.Kill()
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("removing PostgreSQL's directory: %w", err)
	}
	return nil
}
