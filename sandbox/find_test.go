package sandbox_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/sandbox"
)

func TestFindRefusesWhatCannotBeHad(t *testing.T) {
	for _, c := range []struct {
		options sandbox.Options
		want    string
	}{
		{sandbox.Options{}, "no shim"},
		{sandbox.Options{Shim: shimOf(""), Level: "half"}, `level "half" is none of full, process and off`},
		{sandbox.Options{Shim: shimOf(""), Network: "lan"}, `network "lan" is none of host, public and none`},
		{sandbox.Options{Shim: shimOf(""), Network: sandbox.NetworkPublic}, "cgroup v2"},
		{sandbox.Options{Shim: shimOf(""), Hidden: []string{filepath.Join(t.TempDir(), "gone")}}, "no such file"},
	} {
		if _, err := sandbox.Find(t.Context(), c.options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, not %q", c.options, err, c.want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sandbox.Find(ended, sandbox.Options{Shim: shimOf("")}); err == nil {
		t.Error("no error from an ended context")
	}
}

func TestLevels(t *testing.T) {
	for level, want := range map[sandbox.Level][]string{
		sandbox.LevelOff:     sandbox.Walls{}.Words(),
		sandbox.LevelProcess: sandbox.Detect(t.Context(), shimOf(""), nil).Words(),
	} {
		walls, err := sandbox.Find(t.Context(), sandbox.Options{Shim: shimOf(""), Level: level})
		if err != nil || !slices.Equal(walls.Words(), want) || len(walls.Missing()) > 0 {
			t.Errorf("%s: %q, %q, %v; not %q", level, walls.Words(), walls.Missing(), err, want)
		}
	}
	walls, err := sandbox.Find(t.Context(), sandbox.Options{Shim: shimOf(""), Network: sandbox.NetworkPublic, Public: true})
	if err != nil || walls.IsZero() {
		t.Fatal(walls, err)
	}
	if !slices.Contains(walls.Words(), "network: public") {
		t.Errorf("enforced: %q", walls.Words())
	}
	if !(sandbox.Walls{}).IsZero() {
		t.Error("the zero value is not zero")
	}
}

// Secrets are hidden at every level, also those that are directories. What is there besides can be used as ever.
func TestSecretsAreHiddenAtEveryLevel(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("on Linux only")
	}
	dir := t.TempDir()
	file, volume, other := filepath.Join(dir, "file"), filepath.Join(dir, "volume"), filepath.Join(dir, "other")
	if err := os.Mkdir(volume, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(volume, "file"), other} {
		if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const program = `
import os, sys
for path in sys.argv[1:]:
    try:
        print(open(path).read() or "nothing")
    except OSError as e:
        print("nothing")
os.mkdir("a")
open("new", "w").write("new")
os.rename("new", "a/new")
print(open("a/new").read())`
	for _, level := range []sandbox.Level{sandbox.LevelOff, sandbox.LevelProcess} {
		o := sandbox.Options{Shim: shimOf(""), Level: level, Secrets: []string{file, volume, filepath.Join(dir, "missing")}}
		walls, err := sandbox.Find(t.Context(), o)
		if err != nil || !slices.Contains(walls.Words(), "hidden secrets") || len(walls.Missing()) > 0 {
			t.Fatalf("%s: %q, %q, %v", level, walls.Words(), walls.Missing(), err)
		}
		var out strings.Builder
		python := sandbox.Config{Path: "/usr/bin/python3", Args: []string{"-c", program, file, filepath.Join(volume, "file"), other},
			Env: []string{"PATH=/usr/bin"}, Dir: t.TempDir(), Shim: o.Shim, Walls: walls}
		if err := sandbox.Run(t.Context(), python, &out); err != nil || out.String() != "nothing\nnothing\ncontent\nnew\n" {
			t.Errorf("%s: it saw %q, %v", level, out.String(), err)
		}
	}
}

// NetworkNone can be had everywhere on Linux, at every level.
func TestNetworkNone(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("on Linux only")
	}
	// A datagram socket's connect sends nothing.
	const program = `
import socket
for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
    try:
        socket.socket(family, socket.SOCK_DGRAM).connect((address, 9))
        print("reached", address)
    except OSError as e:
        print("refused")
try:
    server = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(server.getsockname())
    print("has a loopback of its own")
except OSError as e:
    print("refused")
a, b = socket.socketpair()
a.send(b"x"); b.recv(1)`
	for _, level := range []sandbox.Level{sandbox.LevelOff, sandbox.LevelProcess, sandbox.LevelFull} {
		t.Run(string(level), func(t *testing.T) {
			walls, err := sandbox.Find(t.Context(), sandbox.Options{Shim: shimOf(""), Level: level, Network: sandbox.NetworkNone, Users: true})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(walls.Words(), "network: none") {
				t.Errorf("enforced: %q", walls.Words())
			}
			last := "refused\n"
			if slices.Contains(walls.Words(), "mount namespace") {
				last = "has a loopback of its own\n"
			}
			var out strings.Builder
			err = sandbox.Run(t.Context(), sandbox.Config{Path: "/usr/bin/python3", Args: []string{"-c", program}, Dir: "/", Shim: shimOf(""), Walls: walls, User: 20001}, &out)
			if err != nil || out.String() != "refused\nrefused\n"+last {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}

// Where no namespace can be had, NetworkNone refuses sockets.
func TestNetworkNoneInEachEnvironment(t *testing.T) {
	skipForeign(t)
	exe := publicCopy(t)
	for _, e := range environments() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			h := buildHouse(t)
			h.Network = sandbox.NetworkNone
			v := e.intrude(t, exe, h)
			e.words = words(strings.Join(e.words, ","), "network: none")
			e.compare(t, v)
			namespace := slices.Contains(v.Words, "mount namespace")
			if works := v.Results["internet socket"] == "ok"; works != namespace {
				t.Errorf("a socket: %s", v.Results["internet socket"])
			}
		})
	}
}
