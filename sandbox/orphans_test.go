//go:build linux

package sandbox_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/sandbox"
)

// Where nothing better can be had, a command may kill its shim, or keep it stopped.
func TestAlwaysTrue4NothingOutlivesAShimThatIsKilledOrStopped(t *testing.T) {
	const leave = "(setsid sh -c 'trap \"\" INT TERM HUP; sleep 1000 & sleep 1000' &) ; setsid sleep 1000 & "
	for name, script := range map[string]string{
		"killed":       leave + "echo; kill -KILL $PPID; sleep 1000",
		"stopped":      leave + "kill -STOP $PPID; echo; sleep 1000",
		"kept stopped": leave + "echo; while :; do kill -STOP $PPID; done",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			marker := fmt.Sprintf("marker-%016x", rand.Uint64())
			p, err := sandbox.Start(sandbox.Config{
				Path: "/bin/sh", Args: []string{"-c", script}, Dir: "/",
				Env: []string{"PATH=/usr/bin:/bin", "MARKER=" + marker}, Shim: shimOf(marker), Walls: sandbox.Walls{Mode: sandbox.ModeSubreaper},
			})
			if err != nil {
				t.Fatal(err)
			}
			bystander, err := sandbox.Start(sandbox.Config{Path: "/bin/sleep", Args: []string{"1000"}, Dir: "/", Shim: shimOf(""), Walls: sandbox.Walls{Mode: sandbox.ModeSubreaper}})
			if err != nil {
				t.Fatal(err)
			}
			defer bystander.Close()
			if _, err := p.Stdout.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if name == "killed" {
				<-p.Done()
			}
			ended := make(chan struct{})
			go func() { defer close(ended); p.Close() }()
			select {
			case <-ended:
			case <-time.After(30 * time.Second):
				t.Error("it does not end")
			}
			if left := living(t, marker); len(left) > 0 {
				t.Errorf("still running: %q", left)
			}
			select {
			case <-bystander.Done():
				t.Errorf("the bystander %s", bystander.Exit().Words())
			default:
			}
		})
	}
}
