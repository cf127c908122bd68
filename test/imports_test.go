package test

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/whiskaway/whiskaway/"

// mayImport is the plan of the house: which of our packages each room may
// import. A room that is not listed has the plan of the room around it, or may import none of ours.
var mayImport = map[string][]string{
	"sandbox":   {"function"}, // sandbox/cgroup too
	"kind":      {"function"},
	"gpu":       {"function"},
	"codestore": {"function"},
	"worker":    {"function", "kind", "sandbox"},
	"server":    {"function", "kind", "gpu", "worker", "codestore", "sandbox", "sandbox/cgroup"},
	"strength":  {},
	"http1":     {},
	"wire":      {"function", "http1", "stream"},
	"balancer":  {"function", "codestore", "balancer/placement", "balancer/scaler"},
	// The scaler and its drivers know nothing of the balancer, and it none of the drivers.
	"balancer/placement":         {},
	"balancer/scaler":            {},
	"balancer/scaler/script":     {"balancer/scaler"},
	"balancer/scaler/process":    {"balancer/scaler"},
	"balancer/scaler/kubernetes": {"balancer/scaler"},
	"initbody":                   {"function"},
	"runtime":                    {"function", "initbody", "stream"},
	"openserverless":             {"function", "initbody", "stream"},
	"platform":                   {"platform/alarm", "platform/api", "platform/bus", "platform/controller", "platform/invoker", "platform/store"},
	"platform/api":               {"platform/bus", "platform/controller", "platform/store", "stream"},
	"platform/controller":        {"platform/bus", "platform/store"},
	"platform/alarm":             {"platform/controller", "platform/store"},
	"platform/bus":               {},
	"platform/bus/bustest":       {"platform/bus"},
	"platform/invoker":           {"platform/bus", "platform/store", "stream"},
	"platform/invoker/docker":    {"platform/invoker"},
	"platform/store":             {},
	"console":                    {},
	"telemetry":                  {},
}

// rooms are the folders that must be there, each with a doc.go.
var rooms = []string{"function", "kind", "sandbox", "gpu", "strength", "codestore", "worker", "server", "http1", "stream", "wire", "balancer", "balancer/placement", "balancer/scaler", "balancer/scaler/script", "balancer/scaler/process", "balancer/scaler/kubernetes", "initbody", "runtime", "openserverless",
	"platform", "platform/api", "platform/controller", "platform/alarm", "platform/bus", "platform/invoker", "platform/invoker/docker", "platform/store", "console", "telemetry"}

type listed struct {
	ImportPath string
	Doc        string
	GoFiles    []string
	Imports    []string
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Doc,GoFiles,Imports"}, args...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
}

func TestImportsFollowThePlan(t *testing.T) {
	for _, p := range list(t, "./...") {
		room, _, _ := strings.Cut(p.ImportPath, "/")
		if outside := []string{"cmd", "test", "bench", "examples"}; slices.Contains(outside, room) {
			continue // these wire or use the rooms: they may import any
		}
		plan, ownPlan := mayImport[p.ImportPath]
		if !ownPlan {
			plan = mayImport[room]
		}
		for _, imported := range p.Imports {
			imported, ours := strings.CutPrefix(imported, module)
			if ours && !slices.Contains(plan, imported) {
				t.Errorf("%s imports %s, which the plan does not allow; it may import %v", p.ImportPath, imported, plan)
			}
		}
	}
}

func TestFunctionImportsTheStandardLibraryOnly(t *testing.T) {
	for _, p := range list(t, "./function") {
		for _, imported := range p.Imports {
			if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
				t.Errorf("function imports %s", imported)
			}
		}
	}
}

func TestEveryRoomHasItsDoc(t *testing.T) {
	there := map[string]listed{}
	for _, p := range list(t, "./...") {
		there[p.ImportPath] = p
	}
	for _, room := range rooms {
		p, ok := there[room]
		if !ok || !slices.Contains(p.GoFiles, "doc.go") || p.Doc == "" {
			t.Errorf("the room %s has no doc.go that says what it is for", room)
		}
	}
}
