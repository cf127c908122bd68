package sandbox_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/sandbox"
)

func TestLimits(t *testing.T) {
	for mode, walls := range modes(t) {
		t.Run(mode, func(t *testing.T) {
			dir := openTree(t, "temp/")
			cfg := sandbox.Config{Walls: walls, User: 20001, Dir: "/", Temp: dir + "/temp",
				Limits: sandbox.Limits{FileSize: 100 << 10, OpenFiles: 77}}
			got := shell(t, cfg, "ulimit -n; ulimit -H -n; head -c 200k /dev/zero > "+dir+"/temp/file 2>/dev/null || stat -c %s "+dir+"/temp/file")
			if got != "77\n77\n102400\n" {
				t.Errorf("got %q", got)
			}
			if core := shell(t, cfg, "ulimit -c"); mode == "full" && core != "0\n" {
				t.Errorf("core files: %q", core)
			}
		})
	}
}

// A limit above ours does not raise ours, and is no error.
func TestLimitsOnlyLower(t *testing.T) {
	got := shell(t, sandbox.Config{Dir: "/", Limits: sandbox.Limits{OpenFiles: 1 << 40}}, "ulimit -n")
	if strings.TrimSpace(got) == "" {
		t.Errorf("got %q", got)
	}
}

// The command runs only after Started has returned.
func TestStartedComesBeforeTheCommand(t *testing.T) {
	for mode, walls := range modes(t) {
		t.Run(mode, func(t *testing.T) {
			dir := openTree(t, "temp/")
			seen := ""
			cfg := sandbox.Config{Walls: walls, User: 20001, Dir: "/", Temp: dir + "/temp"}
			cfg.Started = func(pid int) error {
				if pid <= 0 {
					t.Errorf("pid %d", pid)
				}
				seen = "yes"
				return nil
			}
			if got := shell(t, cfg, "echo ran"); got != "ran\n" || seen != "yes" {
				t.Errorf("got %q, started: %q", got, seen)
			}
			why := errors.New("no room")
			cfg.Path, cfg.Shim = "/bin/true", shimOf("")
			cfg.Started = func(int) error { return why }
			if _, err := sandbox.Start(cfg); !errors.Is(err, why) {
				t.Errorf("got %v", err)
			}
		})
	}
}
