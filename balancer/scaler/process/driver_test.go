package process

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/balancer/scaler"
)

// open makes a driver whose servers are a script that is called as `whiskaway` is. What
// the binary itself does is tested in test/.
func open(t *testing.T, script string) *Driver {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "whiskaway")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := Open(Config{Dir: filepath.Join(dir, "scale"), Binary: binary, Balancer: "http://b", TokenFile: "/t", Labels: []string{"cpu"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := d.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return d
}

func list(t *testing.T, d *Driver) []scaler.Machine {
	t.Helper()
	all, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func start(t *testing.T, d *Driver, n int) {
	t.Helper()
	if err := d.Start(t.Context(), "cpu&region=eu", n); err != nil {
		t.Fatal(err)
	}
}

// runs is a server that ends at SIGTERM.
const runs = `exec sleep 1000 # "$@"` + "\n"

func TestStartListStop(t *testing.T) {
	d := open(t, runs)
	start(t, d, 2)
	if all := list(t, d); len(all) != 2 || all[0].Server != "cpu-region-eu-1" || all[1].Server != "cpu-region-eu-2" || all[0].State != scaler.Up || all[0].Since.IsZero() {
		t.Fatalf("the list is %+v", all)
	}
	if err := d.Stop(t.Context(), "cpu-region-eu-1"); err != nil {
		t.Fatal(err)
	}
	if err := d.Stop(t.Context(), "cpu-region-eu-1"); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if all := list(t, d); len(all) != 1 || all[0].Server != "cpu-region-eu-2" {
		t.Errorf("the list is %+v", all)
	}
	start(t, d, 1)
	if all := list(t, d); len(all) != 2 || all[0].Server != "cpu-region-eu-1" {
		t.Errorf("the name is not used again: %+v", all)
	}
}

func TestAServerThatEndsByItselfHasFailed(t *testing.T) {
	d := open(t, "echo first; echo 'unknown flag' >&2; exit 1\n")
	start(t, d, 1)
	var all []scaler.Machine
	for deadline := time.Now().Add(20 * time.Second); len(all) != 1 || all[0].State != scaler.Failed; all = list(t, d) {
		if time.Now().After(deadline) {
			t.Fatalf("the list is %+v", all)
		}
	}
	if !strings.Contains(all[0].Why, "unknown flag") {
		t.Errorf("it has failed because %q", all[0].Why)
	}
	if err := d.Stop(t.Context(), all[0].Server); err != nil {
		t.Fatal(err)
	}
	if all := list(t, d); len(all) != 0 {
		t.Errorf("the list is %+v", all)
	}
}

func TestAServerThatDoesNotEndIsKilled(t *testing.T) {
	d := open(t, "trap '' TERM; echo ready >\"$7.ready\"; while :; do sleep 0.1; done\n")
	start(t, d, 1)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, err := os.Stat(d.data("cpu-region-eu-1") + ".ready"); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := d.Stop(ctx, "cpu-region-eu-1"); err != nil {
		t.Fatal(err)
	}
	if all := list(t, d); len(all) != 0 {
		t.Errorf("the list is %+v", all)
	}
}

// A number that another process has now is not signalled.
func TestAForeignProcessIsNeverSignalled(t *testing.T) {
	d := open(t, runs)
	foreign := exec.Command("sleep", "1000")
	if err := foreign.Start(); err != nil {
		t.Fatal(err)
	}
	defer foreign.Wait()
	defer foreign.Process.Kill()
	if err := os.MkdirAll(filepath.Join(d.cfg.Dir, "cpu-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	data, _ := json.Marshal(record{PID: foreign.Process.Pid, Started: "another time"})
	if err := os.WriteFile(d.recordPath("cpu-1"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if all := list(t, d); len(all) != 1 || all[0].State != scaler.Failed {
		t.Errorf("the list is %+v", all)
	}
	if err := d.Stop(t.Context(), "cpu-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := startOf(foreign.Process.Pid); err != nil {
		t.Error("the foreign process was ended")
	}
}

// A balancer that is killed between the start of a server and its record finds it
// by its command line.
func TestAServerWithoutARecordIsFound(t *testing.T) {
	d := open(t, "while :; do sleep 0.1; done\n")
	start(t, d, 1)
	before := list(t, d)
	if err := os.Remove(d.recordPath("cpu-region-eu-1")); err != nil {
		t.Fatal(err)
	}
	after := list(t, d)
	if len(before) != 1 || len(after) != 1 || after[0].Server != before[0].Server || after[0].State != scaler.Up {
		t.Fatalf("before %+v, after %+v", before, after)
	}
	if err := d.Stop(t.Context(), after[0].Server); err != nil {
		t.Fatal(err)
	}
	if all := list(t, d); len(all) != 0 {
		t.Errorf("the list is %+v", all)
	}
}

func TestADamagedRecordIsSaid(t *testing.T) {
	d := open(t, runs)
	if err := os.MkdirAll(filepath.Join(d.cfg.Dir, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.recordPath("x"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.List(t.Context()); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("the error is %v", err)
	}
	os.Remove(d.recordPath("x"))
}

func TestServersAreToldWhatTheyNeed(t *testing.T) {
	d := open(t, `echo "$@" "$WHISKAWAY_TOKEN_FILE"`+"\n")
	start(t, d, 1)
	name := "cpu-region-eu-1"
	want := fmt.Sprintf("server --balancer http://b --name %s --data %s --label cpu /t\n", name, d.data(name))
	var log []byte
	for deadline := time.Now().Add(20 * time.Second); string(log) != want; log, _ = os.ReadFile(filepath.Join(d.cfg.Dir, name, "log")) {
		if time.Now().After(deadline) {
			t.Fatalf("it was told %q, want %q", log, want)
		}
	}
}
