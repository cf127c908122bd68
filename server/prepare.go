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
	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/worker"
)

// startWorker makes a worker, and before the first one gets the function
// ready: its directory, its code, its dependencies.
func (s *Server) startWorker(ctx context.Context, j startJob) (startResult, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.startTimeout, errSlowStart)
	defer cancel()
	command, err := s.commandOf(ctx, j)
	if err != nil {
		return startResult{}, s.startError(ctx, err)
	}
	w, err := worker.Start(ctx, worker.Config{
		Command: command, Env: workerEnv(j.spec, command, j.dir), Shim: s.shim, Walls: s.walls,
		Concurrency: j.spec.Require.Concurrency, StartTimeout: s.startTimeout, LogLimit: s.logLimit, Log: s.log,
	})
	if err != nil {
		return startResult{}, s.startError(ctx, err)
	}
	return startResult{process: w, command: &command}, nil
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

func (s *Server) commandOf(ctx context.Context, j startJob) (kind.Command, error) {
	if j.command != nil {
		return *j.command, nil
	}
	for _, dir := range []string{j.dir, codeDir(j.dir), tempDir(j.dir)} {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return kind.Command{}, function.Errorf(function.CodeInternal, "making the function's directory: %v", err)
		}
	}
	log := func(line string) { s.log.Debug("preparing a function", "function", j.spec.FullName(), "line", line) }
	return s.kinds.Prepare(ctx, kind.Source{
		Kind: j.spec.Kind, Main: j.spec.Main, CodePath: j.codePath, Binary: j.spec.Binary,
		Dir: codeDir(j.dir), EnvsDir: s.layout.envs, LauncherDir: s.layout.launchers(),
	}, log)
}

// plainPath is where a function finds the usual commands.
const plainPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// workerEnv is a worker's environment: what its kind needs, what the function
// was given, and a few things that every process expects. Nothing of it comes
// from our own environment.
func workerEnv(spec function.Spec, command kind.Command, dir string) []string {
	env := []string{
		"PATH=" + filepath.Dir(command.Path) + ":" + plainPath,
		"HOME=" + codeDir(dir), "TMPDIR=" + tempDir(dir), "LANG=C.UTF-8",
	}
	// What the kind says holds, but for what is the server's business.
	env = slices.DeleteFunc(env, func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return name != "TMPDIR" && slices.ContainsFunc(command.Env, func(s string) bool { return strings.HasPrefix(s, name+"=") })
	})
	for name, value := range spec.Env {
		env = append(env, name+"="+value)
	}
	// What belongs to the identity is there from the start; what differs from run
	// to run comes with the run.
	return append(env, "__OW_NAMESPACE="+spec.Namespace, "__OW_ACTION_NAME="+spec.FullName(),
		"__OW_API_HOST="+spec.APIHost, "__OW_WAIT_FOR_ACK=1")
}

// clean removes a function's directory and lets go of its code. Its workers
// have ended.
func (s *Server) clean(f *fn) {
	if err := removeAll(f.dir); err != nil {
		s.log.Error("a function's directory could not be removed", "dir", f.dir, "error", err)
	}
	f.blob.Release()
}
