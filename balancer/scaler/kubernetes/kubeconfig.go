package kubernetes

import (
	"cmp"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// A kubeconfig is kubectl's file, as far as we need it
// (https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/).
type kubeconfig struct {
	CurrentContext string `yaml:"current-context"`
	Contexts       []struct {
		Name    string
		Context struct{ Cluster, User string }
	}
	Clusters []struct {
		Name    string
		Cluster cluster
	}
	Users []struct {
		Name string
		User user
	}
}

type cluster struct {
	Server        string
	CA            string `yaml:"certificate-authority"`
	CAData        string `yaml:"certificate-authority-data"`
	Insecure      bool   `yaml:"insecure-skip-tls-verify"`
	TLSServerName string `yaml:"tls-server-name"`
}

type user struct {
	Token     string
	TokenFile string `yaml:"tokenFile"`
	Cert      string `yaml:"client-certificate"`
	CertData  string `yaml:"client-certificate-data"`
	Key       string `yaml:"client-key"`
	KeyData   string `yaml:"client-key-data"`
}

// fromKubeconfig is the API server of the file's current context.
func fromKubeconfig(path string) (*api, error) {
	a, err := readKubeconfig(path)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %s: %w", path, err)
	}
	return a, nil
}

func readKubeconfig(path string) (*api, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var k kubeconfig
	if err := yaml.Unmarshal(data, &k); err != nil {
		return nil, err
	}
	c, u, err := k.current()
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path) // which paths in the file count from
	config := &tls.Config{ServerName: c.TLSServerName, InsecureSkipVerify: c.Insecure}
	ca, err := inlineOrFile(c.CAData, c.CA, dir)
	if err != nil {
		return nil, fmt.Errorf("its certificate-authority: %w", err)
	}
	if config.Certificates, err = u.certificates(dir); err != nil {
		return nil, err
	}
	a, err := newAPI(c.Server, ca, config)
	if err != nil {
		return nil, err
	}
	switch {
	case u.TokenFile != "":
		a.token = fileToken(under(dir, u.TokenFile))
	case u.Token != "":
		a.token = func() (string, error) { return u.Token, nil }
	}
	return a, nil
}

// current returns the cluster and the user of the current context.
func (k kubeconfig) current() (c cluster, u user, err error) {
	var clusterName, userName string
	for _, x := range k.Contexts {
		if x.Name == k.CurrentContext {
			clusterName, userName = x.Context.Cluster, x.Context.User
		}
	}
	for _, x := range k.Clusters {
		if x.Name == clusterName {
			c = x.Cluster
		}
	}
	for _, x := range k.Users {
		if x.Name == userName {
			u = x.User
		}
	}
	switch {
	case c.Server == "":
		return c, u, fmt.Errorf("its current-context %q names no cluster with a server", k.CurrentContext)
	case u.Token == "" && u.TokenFile == "" && u.Cert == "" && u.CertData == "":
		return c, u, errors.New("the current user has neither a token nor a client certificate (exec plugins, auth providers and passwords are not supported); make a service account and use its token, see docs/scaling.md")
	}
	return c, u, nil
}

func (u user) certificates(dir string) ([]tls.Certificate, error) {
	if u.Cert == "" && u.CertData == "" {
		return nil, nil
	}
	cert, err := inlineOrFile(u.CertData, u.Cert, dir)
	if err != nil {
		return nil, fmt.Errorf("its client-certificate: %w", err)
	}
	key, err := inlineOrFile(u.KeyData, u.Key, dir)
	if err != nil {
		return nil, fmt.Errorf("its client-key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("its client certificate: %w", err)
	}
	return []tls.Certificate{pair}, nil
}

// inlineOrFile returns what is in the base64 text, or in the file; nothing when both are empty.
func inlineOrFile(text, file, dir string) ([]byte, error) {
	if cmp.Or(text, file) == "" {
		return nil, nil
	}
	if text != "" {
		return base64.StdEncoding.DecodeString(text)
	}
	return os.ReadFile(under(dir, file))
}

func under(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
