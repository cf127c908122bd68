package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// listeningPorts are the TCP ports at which the process listens.
func listeningPorts(t *testing.T, pid string) (ports []string) {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	links, _ := filepath.Glob("/proc/" + pid + "/fd/*")
	for _, link := range links {
		target, _ := os.Readlink(link) // what is closed meanwhile is no listener
		inode, ok := strings.CutPrefix(target, "socket:[")
		for line := range strings.Lines(string(table)) {
			f := strings.Fields(line)
			const listens = "0A"
			if ok && len(f) > 9 && f[3] == listens && f[9]+"]" == inode {
				var port int
				_, hex, _ := strings.Cut(f[1], ":")
				if _, err := fmt.Sscanf(hex, "%X", &port); err != nil {
					t.Fatal(err)
				}
				ports = append(ports, fmt.Sprint(port))
			}
		}
	}
	return ports
}

// runtimes are the process ids of a platform's containers that are processes.
func (s *standalone) runtimes() (pids []string) {
	s.t.Helper()
	pid := fmt.Sprint(s.Cmd.Process.Pid)
	tasks, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, task := range tasks {
		children, _ := os.ReadFile(task) // a thread that has ended has none
		for _, child := range strings.Fields(string(children)) {
			line, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if strings.Contains(string(line), "\x00runtime\x00") {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// An action reaches by the network whatever listens on the platform's machine, the runtimes of other namespaces' actions
// too, also those that were started in advance. None of them does anything for it.
func TestAlwaysTrue9ActionsCannotCallOthersRuntimes(t *testing.T) {
	s := startStandalone(t, t.TempDir(), "--prewarm", "nodejs:20=1:256")
	bob, eve := s.as(s.userOK("create", "bob")), s.as(s.userOK("create", "eve"))
	bob.put("keeper", action{kind: "python:3", code: "def main(a):\n    return {'said': 'a word of ' + 'bob'}"})
	bob.result("keeper", "{}") // it is warm now
	var ports []string
	eventually(t, "a warm runtime and one in advance listen", func() bool {
		ports = nil
		for _, pid := range s.runtimes() {
			ports = append(ports, listeningPorts(t, pid)...)
		}
		return len(ports) == 2
	})
	eve.put("caller", action{kind: "python:3", code: `
import urllib.request, urllib.error

def main(args):
    said = []
    for port in args["ports"]:
        for path, body in (("/run", b'{"value":{}}'), ("/init", b'{"value":{"name":"x","main":"main","binary":false,"code":"def main(a): return a"}}')):
            for key in ({}, {"Whiskaway-Key": "guess"}):
                try:
                    with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:%s%s" % (port, path), body, key)) as r:
                        said.append("%d %s" % (r.status, r.read().decode()))
                except urllib.error.HTTPError as e:
                    said.append("%d %s" % (e.code, e.read().decode().strip()))
    return {"said": said}`})
	var got struct{ Said []string }
	eve.ask(200, "POST", restNS+"actions/caller?blocking=true&result=true", `{"ports":["`+strings.Join(ports, `","`)+`"]}`, &got)
	if len(got.Said) != 8 {
		t.Errorf("it asked %d times: %q", len(got.Said), got.Said)
	}
	for _, said := range got.Said {
		if said != `403 {"error":"This runtime answers only the platform that started it."}` {
			t.Errorf("a runtime answered: %s", said)
		}
	}
	if result := bob.result("keeper", "{}"); result != `{"said":"a word of bob"}` {
		t.Errorf("the platform itself is answered: %s", result)
	}
	bob.put("node", action{kind: "nodejs:20", code: "exports.main = () => ({ok: true})"})
	if result := bob.result("node", "{}"); result != `{"ok":true}` {
		t.Errorf("the one in advance is good for the platform: %s", result)
	}
}
