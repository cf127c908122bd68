package kubernetes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A fakeCluster answers the four calls as an API server does, and removes and makes
// pods as its controllers would.
type fakeCluster struct {
	*httptest.Server
	mu        sync.Mutex
	workload  workload
	replicas  int
	version   int
	pods      map[string]string // name: pod-deletion-cost
	conflicts int               // how many PUTs somebody else comes before
	forbidden string            // a method that is refused
	noPods    bool              // the controllers make none
	tokens    []string          // that were shown
}

const selector = "app=gpu"

func newCluster(t *testing.T, name string) (*fakeCluster, *Driver) {
	t.Helper()
	w, err := parseWorkload(name)
	if err != nil {
		t.Fatal(err)
	}
	c := &fakeCluster{workload: w, pods: map[string]string{}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Server.Close)
	config := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`
current-context: here
contexts: [{name: there, context: {cluster: x, user: x}}, {name: here, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: %s/}}]
users: [{name: u, user: {tokenFile: token}}]
`, c.URL)
	for path, text := range map[string]string{config: text, filepath.Join(filepath.Dir(config), "token"): "first\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(Config{Workload: name, Kubeconfig: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(config) })
	return c, d
}

func (c *fakeCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = append(c.tokens, r.Header.Get("Authorization"))
	pods := "/api/v1/namespaces/" + c.workload.namespace + "/pods"
	switch {
	case r.Method == c.forbidden:
		refuse(w, http.StatusForbidden, `statefulsets.apps "gpu" is forbidden`)
	case r.URL.Path == c.workload.scalePath() && r.Method == http.MethodGet:
		json.NewEncoder(w).Encode(c.scale())
	case r.URL.Path == c.workload.scalePath() && r.Method == http.MethodPut:
		c.put(w, r)
	case r.URL.Path == pods && r.URL.Query().Get("labelSelector") == selector:
		c.list(w)
	case strings.HasPrefix(r.URL.Path, pods+"/") && r.Method == http.MethodPatch:
		c.patch(w, r, r.URL.Path[len(pods)+1:])
	default:
		refuse(w, http.StatusNotFound, "not found")
	}
}

func refuse(w http.ResponseWriter, code int, message string) {
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "code": code, "message": message})
}

func (c *fakeCluster) scale() scale {
	s := scale{APIVersion: "autoscaling/v1", Kind: "Scale", Metadata: scaleMeta{Name: c.workload.name, Namespace: c.workload.namespace, ResourceVersion: fmt.Sprint(c.version)}}
	s.Spec.Replicas, s.Status.Selector = c.replicas, selector
	return s
}

func (c *fakeCluster) put(w http.ResponseWriter, r *http.Request) {
	var s scale
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil || s.Kind != "Scale" || r.Header.Get("Content-Type") != "application/json" {
		refuse(w, http.StatusBadRequest, "no Scale")
		return
	}
	if c.conflicts > 0 {
		c.conflicts--
		c.version++
		c.replicas++ // somebody else's
	}
	if s.Metadata.ResourceVersion != fmt.Sprint(c.version) {
		refuse(w, http.StatusConflict, "the object has been modified")
		return
	}
	c.version++
	c.replicas = s.Spec.Replicas
	c.control()
	json.NewEncoder(w).Encode(c.scale())
}

// control does what the controllers of both kinds do.
func (c *fakeCluster) control() {
	for i := 0; len(c.pods) < c.replicas && !c.noPods; i++ {
		if _, there := c.pods[fmt.Sprint(c.workload.name, "-", i)]; !there {
			c.pods[fmt.Sprint(c.workload.name, "-", i)] = ""
		}
	}
	for len(c.pods) > c.replicas {
		victim := ""
		for name, cost := range c.pods {
			if victim == "" || c.workload.ordered() && name > victim || !c.workload.ordered() && cost > c.pods[victim] {
				victim = name
			}
		}
		delete(c.pods, victim)
	}
}

func (c *fakeCluster) list(w http.ResponseWriter) {
	items := []any{}
	for name := range c.pods {
		items = append(items, map[string]any{"metadata": map[string]any{"name": name, "creationTimestamp": "2026-01-02T15:04:05Z"}})
	}
	json.NewEncoder(w).Encode(map[string]any{"kind": "PodList", "items": items})
}

func (c *fakeCluster) patch(w http.ResponseWriter, r *http.Request, name string) {
	var patch struct {
		Metadata struct{ Annotations map[string]string }
	}
	_, there := c.pods[name]
	if err := json.NewDecoder(r.Body).Decode(&patch); err != nil || !there || r.Header.Get("Content-Type") != "application/merge-patch+json" {
		refuse(w, http.StatusNotFound, "no such pod, or no such patch")
		return
	}
	c.pods[name] = patch.Metadata.Annotations["controller.kubernetes.io/pod-deletion-cost"]
	fmt.Fprint(w, "{}")
}

// set changes something of the cluster.
func (c *fakeCluster) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}
