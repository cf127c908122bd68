package kind_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/kind"
)

// lastUsed makes an environment look as if it had last been used so long ago.
func lastUsed(t *testing.T, env string, ago time.Duration) {
	t.Helper()
	then := time.Now().Add(-ago)
	if err := os.Chtimes(filepath.Join(env, ".whiskaway-complete"), then, then); err != nil {
		t.Fatal(err)
	}
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func TestEnvironmentsAreBounded(t *testing.T) {
	set, envs := echoSet(t), newEnvs(t)
	var all [5]string
	for i := range all {
		all[i] = prepareIn(t, set, envs, source(t, "echo:1", textFile(t, fmt.Sprintf("[%d]", i))), nil).EnvDir
		lastUsed(t, all[i], time.Duration(10-i)*time.Hour)
	}
	release, err := kind.Hold(t.Context(), all[0])
	if err != nil {
		t.Fatal(err)
	}
	lastUsed(t, all[0], 100*time.Hour) // a function runs for days
	lastUsed(t, all[4], time.Second)   // between Prepare and Hold
	half := filepath.Join(envs, "python-0123456789abcdef")
	if err := errors.Join(os.MkdirAll(filepath.Join(half, "build"), 0o755), os.WriteFile(filepath.Join(envs, "python-fedcba9876543210.lock"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	wantThere := func(when string, want ...bool) {
		t.Helper()
		for i, env := range all {
			if there(env) != want[i] || there(env+".lock") != want[i] {
				t.Errorf("%s: environment %d is there: %v, its lock: %v", when, i, there(env), there(env+".lock"))
			}
		}
	}
	trim := func(maxBytes int64) int64 {
		t.Helper()
		freed, err := kind.TrimEnvs(envs, maxBytes)
		if err != nil {
			t.Fatal(err)
		}
		return freed
	}
	trim(1 << 40)
	wantThere("with room", true, true, true, true, true)
	if left, _ := filepath.Glob(filepath.Join(envs, "python-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	var size int64
	fmt.Sscan(text(t, filepath.Join(all[1], ".whiskaway-complete")), &size)
	if freed := trim(4*size + size/2); freed < size {
		t.Errorf("%d bytes were freed, one environment has %d", freed, size)
	}
	wantThere("with room for four", true, false, true, true, true)
	if trim(0); t.Failed() {
		return
	}
	wantThere("with no room", true, false, false, false, true)
	release()
	if trim(0); !there(all[0]) {
		t.Error("what was in use a moment ago is gone")
	}
	lastUsed(t, all[0], time.Hour)
	trim(0)
	wantThere("when it is released", false, false, false, false, true)
	if _, err := kind.Hold(t.Context(), all[0]); err == nil || !strings.Contains(err.Error(), "prepare the function again") {
		t.Errorf("holding what is gone: %v", err)
	}
	if freed, err := kind.TrimEnvs(filepath.Join(envs, "missing"), 0); freed != 0 || err != nil {
		t.Errorf("without a directory: %d, %v", freed, err)
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// However they meet, a function that could hold its environment finds it whole.
func TestTrimmingWhileOthersPrepare(t *testing.T) {
	set, envs := echoSet(t), newEnvs(t)
	code := textFile(t, "[1]\n")
	stop := make(chan struct{})
	var trimming, preparing sync.WaitGroup
	trimming.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			marks, _ := filepath.Glob(filepath.Join(envs, "*", ".whiskaway-complete"))
			for _, mark := range marks { // as old as can be: the hold alone protects
				os.Chtimes(mark, time.Unix(1, 0), time.Unix(1, 0))
			}
			if _, err := kind.TrimEnvs(envs, 0); err != nil {
				t.Error(err)
			}
		}
	})
	held := 0
	var mu sync.Mutex
	for range 4 {
		preparing.Go(func() {
			for range 8 {
				src := source(t, "echo:1", code)
				src.EnvsDir = envs
				cmd, err := set.Prepare(t.Context(), src, nil)
				if err != nil {
					t.Error(err)
					return
				}
				release, err := kind.Hold(t.Context(), cmd.EnvDir)
				if err != nil {
					continue // removed in between, and said so
				}
				if !there(cmd.Path) || !there(filepath.Join(cmd.EnvDir, "src", "exec")) {
					t.Error("an environment that is held is not whole")
				}
				mu.Lock()
				held++
				mu.Unlock()
				release()
			}
		})
	}
	preparing.Wait()
	close(stop)
	trimming.Wait()
	t.Logf("held %d of 32", held)
}
