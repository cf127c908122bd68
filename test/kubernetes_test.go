package test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/test/harness"
)

// A kube is a Kubernetes API server with its etcd, and the way to it as an
// administrator. There are no controllers: nothing makes pods but the test.
type kube struct {
	t      *testing.T
	dir    string
	url    string
	client *http.Client
}

// startKube builds the API server from the module in test/kubernetes, which takes about
// 10 minutes the first time, and starts it. WHISKAWAY_KUBE_APISERVER names one that is built already.
func startKube(t *testing.T) *kube {
	t.Helper()
	if !slow() {
		t.Skip("builds a Kubernetes API server; set WHISKAWAY_SLOW=1")
	}
	etcd, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("needs etcd: scripts/setup slow installs it")
	}
	binary := os.Getenv("WHISKAWAY_KUBE_APISERVER")
	if binary == "" {
		binary = buildKube(t)
	}
	k := &kube{t: t, dir: t.TempDir()}
	etcdURL, peerURL := "http://"+freeAddress(t), "http://"+freeAddress(t)
	harness.Start(t, []string{etcd, "--data-dir", filepath.Join(k.dir, "etcd"), "--listen-client-urls", etcdURL, "--advertise-client-urls", etcdURL,
		"--listen-peer-urls", peerURL, "--initial-advertise-peer-urls", peerURL, "--initial-cluster", "default=" + peerURL, "--unsafe-no-fsync"}, nil)
	k.startServer(binary, etcdURL)
	return k
}

func buildKube(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "kube-apiserver")
	cmd := exec.Command("go", "build", "-p", "1", "-ldflags", "-s -w", "-o", binary, "k8s.io/kubernetes/cmd/kube-apiserver")
	cmd.Dir, cmd.Env = "kubernetes", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the API server: %v\n%s", err, out)
	}
	return binary
}

func (k *kube) startServer(binary, etcd string) {
	k.t.Helper()
	address := freeAddress(k.t)
	_, port, _ := net.SplitHostPort(address)
	k.url = "https://" + address
	key, tokens := filepath.Join(k.dir, "accounts.key"), filepath.Join(k.dir, "tokens.csv")
	k.makeKey(key)
	k.write(tokens, "administrator,admin,1,system:masters\n")
	harness.Start(k.t, []string{binary, "--etcd-servers", etcd, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", port,
		"--cert-dir", k.dir, "--authorization-mode", "RBAC", "--token-auth-file", tokens, "--service-cluster-ip-range", "10.0.0.0/24",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key, "--service-account-signing-key-file", key,
		"--endpoint-reconciler-type", "none", "--disable-admission-plugins", "ServiceAccount"}, nil)
	// The test's own way there takes any certificate; the balancer's is given the CA.
	k.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	k.t.Cleanup(k.client.CloseIdleConnections)
	harness.Eventually(k.t, "the API server is ready", func() bool {
		code, _ := k.try(http.MethodGet, "/readyz", "", "")
		return code == http.StatusOK
	})
}

// makeKey writes a key with which the server signs the accounts' tokens.
func (k *kube) makeKey(path string) {
	k.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		k.t.Fatal(err)
	}
	k.write(path, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
}

func (k *kube) write(path, text string) {
	k.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// try makes one call; the code is 0 when there was no answer.
func (k *kube) try(method, path, contentType, body string) (int, []byte) {
	req, err := http.NewRequestWithContext(k.t.Context(), method, k.url+path, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer administrator")
	req.Header.Set("Content-Type", contentType)
	resp, err := k.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, data
}

func (k *kube) call(method, path, contentType, body string) []byte {
	k.t.Helper()
	code, data := k.try(method, path, contentType, body)
	if code/100 != 2 {
		k.t.Fatalf("%s %s: %d %s", method, path, code, data)
	}
	return data
}

// apply makes the objects of a YAML text.
func (k *kube) apply(text string) {
	k.t.Helper()
	const faas = "namespaces/faas/"
	paths := map[string]string{
		"Namespace": "/api/v1/namespaces", "ServiceAccount": "/api/v1/" + faas + "serviceaccounts", "Pod": "/api/v1/" + faas + "pods",
		"Role": "/apis/rbac.authorization.k8s.io/v1/" + faas + "roles", "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/" + faas + "rolebindings",
		"StatefulSet": "/apis/apps/v1/" + faas + "statefulsets", "Deployment": "/apis/apps/v1/" + faas + "deployments",
	}
	for part := range strings.SplitSeq(text, "\n---\n") {
		_, kind, _ := strings.Cut(part, "\nkind: ")
		kind, _, _ = strings.Cut(kind, "\n")
		k.call(http.MethodPost, paths[kind], "application/yaml", part)
	}
}

// replicas is how many are wanted of a workload.
func (k *kube) replicas(resource string) int {
	k.t.Helper()
	var s struct{ Spec struct{ Replicas int } }
	if err := json.Unmarshal(k.call(http.MethodGet, "/apis/apps/v1/namespaces/faas/"+resource+"/gpu/scale", "", ""), &s); err != nil {
		k.t.Fatal(err)
	}
	return s.Spec.Replicas
}

func (k *kube) awaitReplicas(resource string, n int) {
	k.t.Helper()
	harness.Eventually(k.t, fmt.Sprintf("%d replicas of %s", n, resource), func() bool { return k.replicas(resource) == n })
}

// makePod does what a controller would.
func (k *kube) makePod(name string) {
	k.t.Helper()
	k.apply("apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: faas, labels: {app: whiskaway-gpu}}\nspec: {containers: [{name: c, image: i}]}")
}

// kubeconfig is a file by which the balancer's service account reaches the server, with
// a token that the server has made for it.
func (k *kube) kubeconfig() string {
	k.t.Helper()
	var token struct{ Status struct{ Token string } }
	answer := k.call(http.MethodPost, "/api/v1/namespaces/faas/serviceaccounts/whiskaway-balancer/token", "application/json",
		`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":3600}}`)
	if err := json.Unmarshal(answer, &token); err != nil {
		k.t.Fatal(err)
	}
	k.write(filepath.Join(k.dir, "token"), token.Status.Token)
	path := filepath.Join(k.dir, "kubeconfig")
	k.write(path, fmt.Sprintf(`
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: %q, certificate-authority: apiserver.crt}}]
users: [{name: u, user: {tokenFile: token}}]
`, k.url))
	return path
}

// documented returns the YAML of docs/scaling.md that has the word.
func documented(t *testing.T, word string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	for block := range bytes.SplitSeq(text, []byte("```yaml\n")) {
		yaml, _, _ := bytes.Cut(block, []byte("```"))
		if bytes.HasPrefix(yaml, []byte("apiVersion")) && bytes.Contains(yaml, []byte(word)) {
			return string(yaml)
		}
	}
	t.Fatalf("docs/scaling.md has no YAML with %s", word)
	return ""
}
