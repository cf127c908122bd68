package docker

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A registry serves images made by `docker save` as Docker's Registry HTTP API V2 does; loopback may be plain HTTP.
type registry struct {
	*httptest.Server
	mu        sync.Mutex
	blobs     map[string][]byte // by digest
	manifests map[string][]byte // by "name:tag", and by digest
	pulls     int
}

func startRegistry(t *testing.T) *registry {
	r := &registry{blobs: map[string][]byte{}, manifests: map[string][]byte{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

func (r *registry) serve(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q.URL.Path == "/v2/" {
		return
	}
	var body []byte
	what, id := q.URL.Path, ""
	if i := strings.LastIndexByte(what, '/'); i >= 0 {
		what, id = what[:i], what[i+1:]
	}
	if name, isManifest := strings.CutSuffix(strings.TrimPrefix(what, "/v2/"), "/manifests"); isManifest {
		body = r.manifests[id]
		if body == nil {
			body = r.manifests[name+":"+id]
			r.pulls++
		}
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Docker-Content-Digest", digestOf(body))
	} else {
		body = r.blobs[id]
	}
	if body == nil {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	if q.Method == http.MethodGet {
		w.Write(body)
	}
}

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pulls
}

// take takes over an image of the engine's, under a name, and returns its reference.
func (r *registry) take(t *testing.T, image, name string) string {
	t.Helper()
	dir := t.TempDir()
	archive := filepath.Join(dir, "image.tar")
	docker(t, "save", "--output", archive, image)
	var contents []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(untar(t, archive, "manifest.json"), &contents); err != nil {
		t.Fatal(err)
	}
	config := untar(t, archive, contents[0].Config)
	type part struct {
		MediaType string `json:"mediaType"`
		Size      int    `json:"size"`
		Digest    string `json:"digest"`
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	add := func(mediaType string, b []byte) part {
		r.blobs[digestOf(b)] = b
		return part{mediaType, len(b), digestOf(b)}
	}
	m := struct {
		SchemaVersion int    `json:"schemaVersion"`
		MediaType     string `json:"mediaType"`
		Config        part   `json:"config"`
		Layers        []part `json:"layers"`
	}{SchemaVersion: 2, MediaType: manifestType, Config: add("application/vnd.docker.container.image.v1+json", config)}
	for _, layer := range contents[0].Layers {
		var packed bytes.Buffer
		z, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
		z.Write(untar(t, archive, layer))
		z.Close()
		m.Layers = append(m.Layers, add("application/vnd.docker.image.rootfs.diff.tar.gzip", packed.Bytes()))
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	r.manifests[name], r.manifests[digestOf(manifest)] = manifest, manifest
	return strings.TrimPrefix(r.URL, "http://") + "/" + name
}

func untar(t *testing.T, archive, name string) []byte {
	t.Helper()
	cmd := exec.Command("tar", "-xOf", archive, name)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s of %s: %v %s", name, archive, err, errs.String())
	}
	return out
}

// smallRuntime builds an image of a few megabytes that answers what it is called, to be pulled.
func smallRuntime(t *testing.T, r *registry, name string) string {
	t.Helper()
	return r.take(t, imageName("whiskaway-runtime"), name)
}

func TestPlatformPullsImages(t *testing.T) {
	needImages(t)
	r := startRegistry(t)
	missing := smallRuntime(t, r, "functions/native:1.0")
	native := nativeEcho(t)
	p := startPlatform(t, t.TempDir())
	// Many want it at once: it is pulled once.
	p.put("native", exe{Kind: "blackbox", Image: missing, Code: native}, `{"memory": 128}`)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got := p.result("native", "{}"); got != `{"native":true}` {
				t.Errorf("a pulled image: %s", got)
			}
		})
	}
	all.Wait()
	if n := r.count(); n != 1 {
		t.Errorf("one image was pulled %d times", n)
	}
	p.put("nothing", exe{Kind: "blackbox", Image: strings.Replace(missing, "1.0", "2.0", 1)}, "")
	p.fails("nothing", "{}", 2, "Failed to pull container image '"+strings.Replace(missing, "1.0", "2.0", 1)+"'. (the Docker engine says: manifest")
	r.Close()
	p.put("away", exe{Kind: "blackbox", Image: strings.Replace(missing, "1.0", "3.0", 1)}, "")
	p.fails("away", "{}", 2, "connection refused")
	p.Stop()
}

func TestPlatformPullsAlways(t *testing.T) {
	needImages(t)
	r := startRegistry(t)
	tagged, latest := smallRuntime(t, r, "functions/native:1.0"), smallRuntime(t, r, "functions/native:latest")
	native := nativeEcho(t)
	p := startPlatform(t, t.TempDir(), "--pull", "always", "--image", "python:3="+tagged, "--image", "nodejs:20="+tagged, "--image", "native="+tagged)
	for name, image := range map[string]string{"tagged": tagged, "latest": latest} {
		p.put(name, exe{Kind: "blackbox", Image: image, Code: native}, "")
		p.result(name, "{}")
		p.put(name, exe{Kind: "blackbox", Image: image, Code: native}, "") // a new revision wants a new container
		p.result(name, "{}")
	}
	if n := r.count(); n != 4 {
		t.Errorf("four starts pulled %d times", n)
	}
	r.Close()
	for name, image := range map[string]string{"tagged": tagged, "latest": latest} {
		p.put(name, exe{Kind: "blackbox", Image: image, Code: native}, "")
	}
	if got := p.result("tagged", "{}"); got != `{"native":true}` {
		t.Errorf("with its registry away, an image with a tag: %s", got)
	}
	p.fails("latest", "{}", 2, "Failed to pull container image '"+latest+"'.")
}
