package kubernetes

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// An api is how an API server is reached.
type api struct {
	url    string
	token  func() (string, error) // nil: none
	client *http.Client
}

// newAPI makes one. ca are its authorities' certificates, PEM; without them those of the system hold.
func newAPI(url string, ca []byte, config *tls.Config) (*api, error) {
	if len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("the API server's CA certificate is no PEM")
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	transport.MaxIdleConns = 2
	return &api{url: strings.TrimSuffix(url, "/"), client: &http.Client{Transport: transport}}, nil
}

const (
	callLimit   = 30 * time.Second // for one request
	answerLimit = 32 << 20         // bytes of an answer
	errorLimit  = 500              // bytes of an error's text
)

// A statusError is an answer that is none of 2xx.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the API server answered %d: %s", e.code, e.message)
}

// call makes one request. send is sent as JSON, and the answer is read into get.
func (d *Driver) call(ctx context.Context, method, path string, send, get any) error {
	data, err := d.api.do(ctx, method, path, send)
	if isStatus(err, http.StatusForbidden) {
		return fmt.Errorf("%w; the role of this account needs the rule %s, see docs/scaling.md", err, d.rule(method, path))
	}
	if err != nil {
		return fmt.Errorf("%s of %s: %w", method, d.workload, err)
	}
	if get == nil {
		return nil
	}
	if err := json.Unmarshal(data, get); err != nil {
		return fmt.Errorf("%s of %s: the answer is not as expected: %w", method, d.workload, err)
	}
	return nil
}

func (a *api) do(ctx context.Context, method, path string, send any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	req, err := a.request(ctx, method, path, send)
	if err != nil {
		return nil, err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, &statusError{code: resp.StatusCode, message: messageOf(data)}
	}
	return data, nil
}

func (a *api) request(ctx context.Context, method, path string, send any) (*http.Request, error) {
	var body io.Reader
	if send != nil {
		data, err := json.Marshal(send)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	} else if send != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.token == nil {
		return req, nil
	}
	token, err := a.token()
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return req, nil
}

// messageOf is the text of an error: an object of the kind Status, as a rule.
func messageOf(data []byte) string {
	var status struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(data, &status) == nil && status.Message != "" {
		return status.Message
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(data[:min(len(data), errorLimit)])), "")
}

// accountDir is where a pod finds its service account
// (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/).
const accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// inCluster is the API server of the cluster that we run in, as our pod's service account.
func inCluster() (*api, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("this is no pod of Kubernetes; give --scale-kubeconfig FILE to reach a cluster from outside")
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return account("https://"+host+":"+port, accountDir)
}

// account reads a service account's directory.
func account(url, dir string) (*api, error) {
	ca, err := os.ReadFile(dir + "/ca.crt")
	if err != nil {
		return nil, fmt.Errorf("reading the service account: %w; does the pod have automountServiceAccountToken: false?", err)
	}
	a, err := newAPI(url, ca, &tls.Config{})
	if err != nil {
		return nil, err
	}
	a.token = fileToken(dir + "/token")
	return a, nil
}

// fileToken reads the token again each time: Kubernetes renews it within the hour.
func fileToken(path string) func() (string, error) {
	return func() (string, error) {
		token, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("reading the token for the API server: %w", err)
		}
		return strings.TrimSpace(string(token)), nil
	}
}
