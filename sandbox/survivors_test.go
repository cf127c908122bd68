package sandbox_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/sandbox"
)

// stubborn forks twice, leaves its session, and sleeps at every level.
const stubborn = `
(setsid sh -c '(setsid sleep 1000 &) ; sleep 1000 & sleep 1000' >/dev/null 2>&1 &)
setsid sleep 1000 &
sleep 1000`

func TestAlwaysTrue4NoProcessOutlivesServer(t *testing.T) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("without /proc survivors cannot be found")
	}
	rounds := 30
	if os.Getenv("WHISKAWAY_SLOW") != "" {
		rounds = 300
	}
	exe := publicCopy(t)
	users := map[string]func(*exec.Cmd){"me": func(*exec.Cmd) {}}
	if os.Geteuid() == 0 {
		users["nobody"] = asNobody
	}
	for user, become := range users {
		for _, mode := range []sandbox.Mode{"detected", "full", sandbox.ModeSubreaper} {
			t.Run(user+"/"+string(mode), func(t *testing.T) {
				t.Parallel()
				rounds := rounds
				if mode == "full" && os.Getenv("WHISKAWAY_SLOW") == "" {
					rounds /= 3 // each begins with a search for all walls
				}
				for range rounds {
					killServer(t, exe, mode, become)
				}
			})
		}
	}
}

// killServer starts a server, kills it at a random moment while it starts and
// stops functions, and waits until nothing of it is left.
func killServer(t *testing.T, exe string, mode sandbox.Mode, become func(*exec.Cmd)) {
	t.Helper()
	marker := fmt.Sprintf("marker-%016x", rand.Uint64())
	cmd := exec.Command(exe, "server", marker, string(mode))
	become(cmd)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "spawning\n" {
		t.Errorf("the server said %q, %v", line, err)
	}
	time.Sleep(rand.N(50 * time.Millisecond)) // the random moment
	cmd.Process.Kill()
	cmd.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for left := living(t, marker); len(left) > 0; left = living(t, marker) {
		if time.Now().After(deadline) {
			t.Fatalf("%d processes outlive their server:\n%s", len(left), strings.Join(left, "\n"))
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// playServer keeps starting stubborn functions, and stops some, until killed. With a
// script it starts that one, and no other.
func playServer(marker string, mode sandbox.Mode, script ...string) {
	walls := sandbox.Walls{Mode: mode}
	switch mode {
	case "detected":
		walls = sandbox.Detect(context.Background(), shimOf(marker), nil)
	case "full":
		var err error
		walls, err = sandbox.Find(context.Background(), sandbox.Options{Shim: shimOf(marker), Users: true})
		if err != nil {
			panic(err)
		}
	}
	fmt.Println("spawning")
	start := func(script string) *sandbox.Process {
		p, err := sandbox.Start(sandbox.Config{
			Path: "/bin/sh", Args: []string{"-c", script}, Dir: "/",
			Env:  []string{"PATH=/usr/bin:/bin", "MARKER=" + marker},
			Shim: shimOf(marker), Walls: walls, User: 20001,
		})
		if err != nil {
			panic(err)
		}
		return p
	}
	if len(script) > 0 {
		start(script[0])
		select {}
	}
	for range 2 {
		go func() {
			for {
				start(stubborn) // and keep it
				start(stubborn).Close()
				time.Sleep(5 * time.Millisecond)
			}
		}()
	}
	select {}
}

// living lists the processes that carry the marker in their arguments or
// environment. One that has ended and waits to be reaped does not count.
func living(t *testing.T, marker string) []string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, dir := range dirs {
		args, _ := os.ReadFile(dir + "/cmdline")
		env, _ := os.ReadFile(dir + "/environ")
		if !bytes.Contains(args, []byte(marker)) && !bytes.Contains(env, []byte(marker)) {
			continue
		}
		stat, _ := os.ReadFile(dir + "/stat")
		if i := bytes.LastIndexByte(stat, ')'); i < 0 || stat[i+2] == 'Z' || stat[i+2] == 'X' {
			continue
		}
		found = append(found, dir+" "+string(bytes.ReplaceAll(args, []byte{0}, []byte{' '})))
	}
	return found
}
