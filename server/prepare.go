package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/gpu"
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/sandbox"
	"github.com/whiskaway/whiskaway/worker"
)

// startWorker makes a worker, and before the first one gets the function
// ready: its directory, its code, its dependencies.
func (s *Server) startWorker(ctx context.Context, j startJob) (startResult, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.startTimeout, errSlowStart)
	defer cancel()
	command, release, err := s.commandOf(ctx, j)
	if err != nil {
		return startResult{}, s.startError(ctx, err)
	}
	w, used, err := s.startOnGPUs(ctx, j, command)
	if err != nil {
		release()
		return startResult{}, s.startError(ctx, err)
	}
	s.tasks.Go(func() { // nothing of a worker stays
		<-w.Done()
		release()
		s.removeTemp(j)
	})
	return startResult{process: w, number: j.number, gpuUsed: used, command: &command, took: w.StartTook()}, nil
}

// startIn starts a worker that has its GPUs.
func (s *Server) startIn(ctx context.Context, j startJob, command kind.Command) (w *worker.Worker, err error) {
	temp := tempOf(j.dir, j.number)
	defer func() {
		if err != nil {
			s.removeTemp(j)
		}
	}()
	if err := errors.Join(os.Mkdir(temp, 0o700), giveTo(temp, j.user)); err != nil {
		return nil, function.Errorf(function.CodeInternal, "making a worker's temporary directory: %v", err)
	}
	cache, group, err := s.caches.of(j.spec.Namespace)
	if err != nil {
		return nil, function.Errorf(function.CodeInternal, "making the namespace's cache: %v", err)
	}
	name := filepath.Base(j.dir) + "-" + filepath.Base(temp)
	cage, err := s.newCage(name, j.spec.Require.Memory)
	if err != nil {
		return nil, function.Errorf(function.CodeInternal, "%v", err)
	}
	g := s.guardStart(ctx, j.spec, cage)
	w, err = worker.Start(g.ctx, worker.Config{
		Command: command, Env: workerEnv(j, command, temp, cache, s.givenEnv()), Shim: s.shim, Walls: s.walls,
		Name: name, User: j.user, Group: group, Temp: temp, Writable: append([]string{cache}, s.shared...),
		Started: g.started, Ended: cage.leave,
		Limits:      s.limitsOf(j.spec),
		Concurrency: j.spec.Require.Concurrency, StartTimeout: s.startTimeout, Grace: s.grace, LogLimit: s.logLimit, Log: s.log,
	})
	if err = g.end(err); err != nil {
		cage.leave() // there may have been no process that did
	}
	return w, err
}

// limitsOf are a worker's limits besides those of its control group.
func (s *Server) limitsOf(spec function.Spec) sandbox.Limits {
	l := sandbox.Limits{Memory: spec.Require.Memory, Processes: s.processes}
	if !s.kernelLimits {
		l.UserProcesses = s.processes * 3 / 2 // several workers may share a user; the monitor counts each one's
	}
	return l
}

func (s *Server) removeTemp(j startJob) {
	temp := tempOf(j.dir, j.number)
	if err := s.removeAll(temp); err != nil {
		s.log.Error("a worker's temporary directory could not be removed", "dir", temp, "error", err)
	}
}

// errSlowStart is the cause of a start's end at its time limit.
var errSlowStart = errors.New("the start took too long")

// startError makes our own time limit the function's failure: its callers
// were not the ones who lost patience.
func (s *Server) startError(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSlowStart) {
		failed := *function.AsError(err)
		failed.Code, failed.Message = function.CodeInitFailed, fmt.Sprintf("the function was not ready within %v", s.startTimeout)
		return &failed
	}
	if ctx.Err() != nil {
		return errDraining() // nobody else ends a start
	}
	return err
}

// commandOf says how to start the function's workers, and holds its environment of dependencies until
// release is called. A function that is started for the first time is prepared, and so is one
// whose environment has been removed since.
func (s *Server) commandOf(ctx context.Context, j startJob) (c kind.Command, release func(), err error) {
	if j.command != nil {
		if release, err := hold(ctx, j.command.EnvDir); err == nil {
			return *j.command, release, nil
		}
		if err := s.removeAll(codeDir(j.dir)); err != nil {
			return c, nil, function.Errorf(function.CodeInternal, "preparing the function again: %v", err)
		}
	}
	if c, err = s.prepare(ctx, j); err != nil {
		return c, nil, err
	}
	if release, err = hold(ctx, c.EnvDir); err != nil {
		return c, nil, function.Errorf(function.CodeInternal, "holding the function's environment: %v", err)
	}
	return c, release, nil
}

func hold(ctx context.Context, envDir string) (release func(), err error) {
	if envDir == "" {
		return func() {}, nil
	}
	return kind.Hold(ctx, envDir)
}

func (s *Server) prepare(ctx context.Context, j startJob) (kind.Command, error) {
	if err := makeDirs(j); err != nil {
		return kind.Command{}, function.Errorf(function.CodeInternal, "making the function's directory: %v", err)
	}
	log := func(line string) { s.log.Debug("preparing a function", "function", j.spec.FullName(), "line", line) }
	command, err := s.kinds.Prepare(ctx, kind.Source{
		Kind: j.spec.Kind, Main: j.spec.Main, CodePath: j.codePath, Binary: j.spec.Binary,
		Dir: codeDir(j.dir), EnvsDir: s.layout.envs, LauncherDir: s.layout.launchers(),
		Env: kind.CompilerEnv(s.givenEnv(), j.spec.Env),
	}, log)
	if err != nil {
		return kind.Command{}, err
	}
	if err := closeCode(j); err != nil {
		return kind.Command{}, function.Errorf(function.CodeInternal, "giving the function its code: %v", err)
	}
	return command, nil
}

// plainPath is where a function finds the usual commands.
const plainPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// makeDirs makes the function's directories. Those in which we make others are ours, also when it has
// a user of its own: the owner of a directory may put a link in an entry's place, and we would
// follow it with our rights. So others pass through them, and each directory below is closed to them.
func makeDirs(j startJob) error {
	outer := os.FileMode(0o700)
	if j.user != 0 {
		outer = 0o711
	}
	for dir, mode := range map[string]os.FileMode{j.dir: outer, codeDir(j.dir): 0o700, tempDir(j.dir): outer} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.Chmod(dir, mode); err != nil { // whatever our umask is
			return err
		}
	}
	return nil
}

// closeCode lets only the function's user see its code.
func closeCode(j startJob) error {
	if j.user == 0 {
		return nil
	}
	return errors.Join(os.Chmod(codeDir(j.dir), 0o500), giveTo(codeDir(j.dir), j.user))
}

// givenEnv is what Config.Env says.
func (s *Server) givenEnv() []string {
	if s.env == nil {
		return nil
	}
	return s.env()
}

// workerEnv is a worker's environment: what its kind needs, what every process expects, what all
// functions here are given, and what the function was given. Nothing else of it comes from
// our own environment.
func workerEnv(j startJob, command kind.Command, temp, cache string, given []string) []string {
	env := []string{"PATH=" + filepath.Dir(command.Path) + ":" + plainPath, "LANG=C.UTF-8"}
	// What the kind says holds, but for what is the server's business.
	env = slices.DeleteFunc(env, func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return slices.ContainsFunc(command.Env, func(s string) bool { return strings.HasPrefix(s, name+"=") })
	})
	env = append(env, cacheEnv(cache)...)
	if !hasGPUs(given) {
		env = append(env, gpu.Env(j.gpus)...)
	}
	// What belongs to the identity is there from the start; what differs from run
	// to run comes with the run.
	env = append(env, "__OW_NAMESPACE="+j.spec.Namespace, "__OW_ACTION_NAME="+j.spec.FullName(), "__OW_API_HOST="+j.spec.APIHost)
	env = slices.Concat(env, given, []string{"HOME=" + temp, "TMPDIR=" + temp})
	for name, value := range j.spec.Env {
		env = append(env, name+"="+value)
	}
	return append(env, "__OW_WAIT_FOR_ACK=1")
}

// hasGPUs reports whether an environment says which GPUs its processes have, as the NVIDIA Container
// Toolkit says it to a container. Then they are all its functions'.
func hasGPUs(env []string) bool {
	return slices.ContainsFunc(env, func(setting string) bool {
		devices, ok := strings.CutPrefix(setting, "NVIDIA_VISIBLE_DEVICES=")
		return ok && devices != "" && devices != "void" && devices != "none"
	})
}

// clean removes a function's directory and lets go of its code. Its workers
// have ended.
func (s *Server) clean(f *fn) {
	if err := s.removeAll(f.dir); err != nil {
		s.log.Error("a function's directory could not be removed", "dir", f.dir, "error", err)
		f.blob.Release()
		return // no other function may get its user, who can read what is left
	}
	s.forget(f)
}

// forget lets go of what a function has from before its first start.
func (s *Server) forget(f *fn) {
	f.blob.Release()
	s.users.release(f.user)
}

// removeAll removes one directory at a time: a worker's lies in its function's, and two who remove
// the same would be in each other's way.
func (s *Server) removeAll(dir string) error {
	s.removing.Lock()
	defer s.removing.Unlock()
	return removeAll(dir)
}
