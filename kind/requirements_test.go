package kind

import (
	"slices"
	"strings"
	"testing"
)

func TestParseRequirements(t *testing.T) {
	r, err := parseRequirements("# whiskaway: no-deps\r\na==1 \\\n  --hash=sha256:00\n\nb[x]>=2 ; python_version > '3' # why\n--only-binary :all:\nc @ https://example.com/c.whl#sha256=1\n")
	want := []string{"a==1   --hash=sha256:00", "b[x]>=2 ; python_version > '3'", "--only-binary :all:", "c @ https://example.com/c.whl#sha256=1"}
	if err != nil || !r.noDeps || !slices.Equal(r.lines, want) {
		t.Errorf("got %+v, %v", r, err)
	}
	for _, line := range []string{
		"-e .", "-e.", "--editable x", "-r other.txt", "-rother.txt", "-c c.txt", "-i https://x", "--index-url https://x", "--index-url=https://x",
		"--extra-index-url x", "-f dir", "--find-links=dir", "--no-index", "--trusted-host x", "./pkg", "../pkg", "/tmp/x.whl", "~/x",
		"x @ file:///etc", "git+file:///x", "x @ FILE:/x", "http://example.com/x.whl", "git+ssh://x", "https://x/${SECRET}",
	} {
		if _, err := parseRequirements("ok\n" + line + "\n"); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestKeyChangesWithWhatPipWouldInstall(t *testing.T) {
	base := requirements{lines: []string{"a", "b"}}
	python := interpreter{Path: "/usr/bin/python3", Version: "3.11.2"}
	for name, other := range map[string]string{
		"lines":   requirements{lines: []string{"a b"}}.key(python),
		"pragma":  requirements{lines: base.lines, noDeps: true}.key(python),
		"path":    base.key(interpreter{Path: "/opt/python3", Version: python.Version}),
		"version": base.key(interpreter{Path: python.Path, Version: "3.11.3"}),
	} {
		if other == base.key(python) {
			t.Errorf("the key does not depend on the %s", name)
		}
	}
}

func TestToolsSeeOnlyWhatTheyNeed(t *testing.T) {
	got := toolEnv([]string{"PIP_INDEX_URL=i", "https_proxy=p", "NO_PROXY=n", "SSL_CERT_FILE=c", "REQUESTS_CA_BUNDLE=r", "npm_config_registry=n", "NPM_CONFIG_CACHE=c", "PIP_CACHE_DIR=c", "GOPROXY=g", "GOFLAGS=-toolexec=x", "WHISKAWAY_TOKEN=secret", "HOME=/home/x", "AWS_KEY=k"}, "/bin", "/tmp/t")
	want := []string{"PATH=/bin", "HOME=/tmp/t", "TMPDIR=/tmp/t", "LANG=C.UTF-8", "PYTHONNOUSERSITE=1", "PIP_INDEX_URL=i", "https_proxy=p", "NO_PROXY=n", "SSL_CERT_FILE=c", "REQUESTS_CA_BUNDLE=r", "npm_config_registry=n", "GOPROXY=g"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
