package script

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/balancer/scaler"
)

// open makes a driver of a script with that text, in a directory of its own.
func open(t *testing.T, text string) (*Driver, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "gpu.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd "+dir+"\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "join"), []byte("s3cr3t-s3cr3t~fingerprint\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Open(Config{Path: path, Balancer: "https://b.example.com", TokenFile: filepath.Join(dir, "join")})
	if err != nil {
		t.Fatal(err)
	}
	d.killAfter = 100 * time.Millisecond
	return d, dir
}

const keepsBooks = `
case $1 in
start) i=0; while [ $i -lt "$3" ]; do i=$((i+1)); echo "box-$i $2 starting" >>machines; done
	echo "$WHISKAWAY_BALANCER $(cat "$WHISKAWAY_JOIN_TOKEN_FILE")" >env ;;
stop) grep -v "^$2 " machines >left; mv left machines ;;
list) cat machines ;;
esac
`

func TestScriptStartsListsAndStops(t *testing.T) {
	d, dir := open(t, keepsBooks)
	if err := d.Start(t.Context(), "gpu&region=eu", 2); err != nil {
		t.Fatal(err)
	}
	if err := d.Stop(t.Context(), "box-1"); err != nil {
		t.Fatal(err)
	}
	got, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := []scaler.Machine{{Server: "box-2", Label: "gpu&region=eu", State: scaler.Starting}}; !reflect.DeepEqual(got, want) {
		t.Errorf("the list is %+v, want %+v", got, want)
	}
	env, _ := os.ReadFile(filepath.Join(dir, "env"))
	if string(env) != "https://b.example.com s3cr3t-s3cr3t~fingerprint\n" {
		t.Errorf("the script was told %q", env)
	}
}

func TestFailureSaysWhatTheScriptPrinted(t *testing.T) {
	d, _ := open(t, `echo "no GPU left in eu-west" >&2; cat join; exit 3`)
	err := d.Start(t.Context(), "gpu", 1)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"start gpu 1", "exit status 3", "no GPU left in eu-west", "[token]"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("the token is in the error: %v", err)
	}
}

func TestScriptThatHangsIsEndedWithAllItStarted(t *testing.T) {
	d, dir := open(t, `trap "" TERM; sleep 1000 & echo $! >child.new; mv child.new child; wait; sleep 1000`)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for {
			if _, err := os.Stat(filepath.Join(dir, "child")); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if err := d.Start(ctx, "gpu", 1); err == nil {
		t.Fatal("no error")
	}
	text, _ := os.ReadFile(filepath.Join(dir, "child"))
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for alive(pid) {
		if time.Now().After(deadline) {
			t.Fatal("what the script started is still there")
		}
		time.Sleep(time.Millisecond)
	}
	d.cfg.Limit = time.Millisecond
	if err := d.Stop(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "did not end within 1ms") {
		t.Errorf("the error is %v", err)
	}
}

// alive reports whether the process runs; a zombie does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !os.IsNotExist(err)
	}
	return !strings.Contains(string(stat), ") Z ")
}

func TestScriptMayLeaveAProcessBehind(t *testing.T) {
	d, dir := open(t, `sleep 1000 & echo $! >child`)
	err := d.Start(t.Context(), "gpu", 1)
	text, _ := os.ReadFile(filepath.Join(dir, "child"))
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || convErr != nil {
		t.Fatal(err, convErr)
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	if !alive(pid) {
		t.Error("what the script left running was ended")
	}
}

func TestParseList(t *testing.T) {
	since := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	got, err := parseList([]byte("\n# mine\n a\nb gpu\nc gpu stopping\n" + `{"name":"d","state":"starting","since":"2026-01-02T15:04:05Z"}` + "\n" + `{"server":"e"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []scaler.Machine{{Server: "a", State: scaler.Up}, {Server: "b", Label: "gpu", State: scaler.Up}, {Server: "c", Label: "gpu", State: scaler.Stopping},
		{Server: "d", State: scaler.Starting, Since: since}, {Server: "e", State: scaler.Up}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	for _, bad := range []string{"a b c d", "a gpu running", "{", `{"label":"x"}`, `{"server":"a","state":"gone"}`, `{"server":1}`} {
		if _, err := parseList([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Add([]byte("a gpu up\n{\"name\":\"b\"}"))
	f.Fuzz(func(t *testing.T, out []byte) {
		all, err := parseList(out)
		for _, m := range all {
			if err != nil || m.Server == "" || m.State == "" {
				t.Errorf("%q gives %+v, %v", out, m, err)
			}
		}
	})
}

func TestOpenSaysWhatIsWrongWithTheScript(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"": "path of the script is missing", "/nowhere/x": "no such file", file: "chmod +x"} {
		if _, err := Open(Config{Path: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
}
