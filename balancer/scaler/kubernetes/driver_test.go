package kubernetes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/balancer/scaler"
)

// servers lists the machines' names, sorted.
func servers(t *testing.T, d *Driver) (names []string) {
	t.Helper()
	all, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		names = append(names, m.Server)
	}
	slices.Sort(names)
	return names
}

func wantServers(t *testing.T, d *Driver, want ...string) {
	t.Helper()
	if got := servers(t, d); !slices.Equal(got, want) {
		t.Errorf("the servers are %v, want %v", got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStatefulSetWithFakeKubernetes(t *testing.T) {
	_, d := newCluster(t, "faas/statefulset/gpu")
	wantServers(t, d)
	must(t, d.Start(t.Context(), "gpu", 3))
	wantServers(t, d, "gpu-0", "gpu-1", "gpu-2")
	all, err := d.List(t.Context())
	must(t, err)
	for _, m := range all {
		if want := int(m.Server[4] - '0'); m.Rank != want || m.State != scaler.Up || m.Since.IsZero() {
			t.Errorf("%+v, want rank %d", m, want)
		}
	}
	if err := d.Stop(t.Context(), "gpu-0"); err == nil || !strings.Contains(err.Error(), "gpu-0 is not its last pod") {
		t.Errorf("stopping the first one: %v", err)
	}
	must(t, d.Stop(t.Context(), "gpu-2"))
	must(t, d.Stop(t.Context(), "gpu-2")) // is gone already
	wantServers(t, d, "gpu-0", "gpu-1")
}

func TestDeploymentWithFakeKubernetes(t *testing.T) {
	_, d := newCluster(t, "faas/deployment/gpu")
	must(t, d.Start(t.Context(), "gpu", 3))
	must(t, d.Stop(t.Context(), "gpu-1"))
	wantServers(t, d, "gpu-0", "gpu-2")
	must(t, d.Stop(t.Context(), "gpu-1"))
	wantServers(t, d, "gpu-0", "gpu-2")
}

func TestPodsThatAreNotMadeAreMachinesWithFakeKubernetes(t *testing.T) {
	for name, want := range map[string][]string{
		"faas/statefulset/gpu": {"gpu-0", "gpu-1"}, "faas/deployment/gpu": {"gpu (no pod yet, 1)", "gpu (no pod yet, 2)"},
	} {
		c, d := newCluster(t, name)
		c.set(func() { c.noPods = true })
		must(t, d.Start(t.Context(), "gpu", 2))
		wantServers(t, d, want...)
		must(t, d.Stop(t.Context(), want[1]))
		wantServers(t, d, want[0])
	}
}

func TestConflictsAreTriedAgainWithFakeKubernetes(t *testing.T) {
	c, d := newCluster(t, "faas/deployment/gpu")
	c.set(func() { c.conflicts = 3 })
	must(t, d.Start(t.Context(), "gpu", 1))
	if c.replicas != 4 {
		t.Errorf("%d replicas, want ours on top of three of others", c.replicas)
	}
	c.set(func() { c.conflicts = 100 })
	if err := d.Start(t.Context(), "gpu", 1); err == nil || !strings.Contains(err.Error(), "modified") {
		t.Errorf("the error is %v", err)
	}
}

func TestErrorsSayWhatToDoWithFakeKubernetes(t *testing.T) {
	c, d := newCluster(t, "faas/statefulset/gpu")
	c.set(func() { c.forbidden = "PUT" })
	err := d.Start(t.Context(), "gpu", 1)
	if err == nil || !strings.Contains(err.Error(), `{apiGroups: ["apps"], resources: ["statefulsets/scale"], verbs: ["get", "update"]}`) {
		t.Errorf("forbidden: %v", err)
	}
	d.name = "other"
	if _, err := d.List(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no statefulset other in namespace faas") {
		t.Errorf("not there: %v", err)
	}
	c.Server.Close()
	if _, err := d.List(t.Context()); err == nil || strings.Contains(err.Error(), "first") {
		t.Errorf("the token is in the error, or there is none: %v", err)
	}
}

func TestTokenIsReadAgainWithFakeKubernetes(t *testing.T) {
	c, d := newCluster(t, "faas/deployment/gpu")
	file := filepath.Join(t.TempDir(), "token")
	d.api.token = fileToken(file)
	for _, token := range []string{"one", "two"} {
		must(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
		wantServers(t, d)
	}
	if !slices.Contains(c.tokens, "Bearer one") || !slices.Contains(c.tokens, "Bearer two") {
		t.Errorf("the tokens were %q", c.tokens)
	}
}

func TestParseWorkload(t *testing.T) {
	for text, want := range map[string]workload{
		"a/statefulset/b": {"a", "statefulsets", "b"}, "a/Deployment/b.c": {"a", "deployments", "b.c"}, "a/deployments/b": {"a", "deployments", "b"},
	} {
		if got, err := parseWorkload(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "a", "a/b", "a/pod/b", "a/deployment/../b", "a/deployment/B", "/deployment/b", "a/deployment/"} {
		if w, err := parseWorkload(text); err == nil || !strings.Contains(err.Error(), "namespace/statefulset/name") {
			t.Errorf("%s: %+v, %v", text, w, err)
		}
	}
}

func TestKubeconfigsThatCannotBeUsed(t *testing.T) {
	const whole = "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: https://k}}]\n"
	for text, want := range map[string]string{
		"}":    "yaml",
		"a: b": `current-context "" names no cluster`,
		whole:  "neither a token nor a client certificate",
		whole + "users: [{name: u, user: {exec: {command: aws}}}]":                                                                     "exec plugins",
		whole + "users: [{name: u, user: {client-certificate: none.pem, client-key: none.pem}}]":                                       "client-certificate",
		whole + "users: [{name: u, user: {client-certificate-data: YQ==, client-key-data: YQ==}}]":                                     "client certificate",
		strings.Replace(whole, "https://k", "https://k, certificate-authority-data: YQ==", 1) + "users: [{name: u, user: {token: t}}]": "no PEM",
	} {
		path := filepath.Join(t.TempDir(), "config")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		if _, err := Open(Config{Workload: "a/deployment/b", Kubeconfig: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngives %v, want %q", text, err, want)
		}
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := Open(Config{Workload: "a/deployment/b"}); err == nil || !strings.Contains(err.Error(), "--scale-kubeconfig") {
		t.Errorf("outside of a cluster: %v", err)
	}
}
