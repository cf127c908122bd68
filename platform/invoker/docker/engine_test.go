package docker

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestChooseVersion(t *testing.T) {
	for _, c := range []struct{ lowest, highest, want, wrong string }{
		{"1.12", "1.41", "1.41", ""},
		{"1.24", "1.51", "1.44", ""},
		{"1.44", "1.52", "1.44", ""},
		{"1.48", "1.60", "1.48", ""},
		{"", "1.40", "1.40", ""},
		{"1.12", "1.39", "", "1.40 or newer is needed"},
		{"1.12", "new", "", "which is none"},
		{"x.1", "1.41", "", "which is none"},
		{"", "", "", "which is none"},
	} {
		got, err := chooseVersion(c.lowest, c.highest)
		switch {
		case c.wrong == "" && (err != nil || got.String() != c.want):
			t.Errorf("%s to %s: %s, %v, want %s", c.lowest, c.highest, got, err, c.want)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%s to %s: %v, want %q", c.lowest, c.highest, err, c.wrong)
		}
	}
}

func TestHosts(t *testing.T) {
	t.Setenv("DOCKER_CERT_PATH", "")
	t.Setenv("DOCKER_TLS_VERIFY", "")
	for host, want := range map[string]string{
		"unix:///run/docker.sock": "http://docker",
		"tcp://10.0.0.5:2375":     "http://10.0.0.5:2375",
		"https://10.0.0.5:2376":   "https://10.0.0.5:2376",
		"ssh://box":               "forward its socket with `ssh -L`",
		"/run/docker.sock":        "is not like unix://",
		"unix://":                 "is not like unix://",
	} {
		e := &Engine{host: host}
		_, err := e.transport()
		if got := e.base; err == nil && got != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want %s", host, got, err, want)
		}
	}
}

func TestImageReferences(t *testing.T) {
	for ref, want := range map[string][3]string{
		"python":                         {"python", "latest", "https://index.docker.io/v1/"},
		"openwhisk/dockerskeleton:1.14":  {"openwhisk/dockerskeleton", "1.14", "https://index.docker.io/v1/"},
		"localhost:5000/a/b":             {"localhost:5000/a/b", "latest", "localhost:5000"},
		"localhost/a":                    {"localhost/a", "latest", "localhost"},
		"registry.example.com/a:1":       {"registry.example.com/a", "1", "registry.example.com"},
		"a/b@sha256:0123456789abcdef":    {"a/b", "sha256:0123456789abcdef", "https://index.docker.io/v1/"},
		"r.example.com:5/a:1@sha256:abc": {"r.example.com:5/a:1", "sha256:abc", "r.example.com:5"},
	} {
		name, tag := splitImage(ref)
		if got := [3]string{name, tag, registryOf(name)}; got != want {
			t.Errorf("%s: %q, want %q", ref, got, want)
		}
	}
}

func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	if got, err := credentials("registry.example.com"); got != "" || err != nil {
		t.Errorf("without a file: %q, %v", got, err)
	}
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"auths": {"registry.example.com": {"auth": "` + base64.StdEncoding.EncodeToString([]byte("ada:se:cret")) + `"}, "bad.example.com": {"auth": "%"}}}`)
	got, err := credentials("registry.example.com")
	plain, _ := base64.URLEncoding.DecodeString(got)
	if want := `{"identitytoken":"","password":"se:cret","serveraddress":"registry.example.com","username":"ada"}`; err != nil || string(plain) != want {
		t.Errorf("%s, %v, want %s", plain, err, want)
	}
	if got, err := credentials("other.example.com"); got != "" || err != nil {
		t.Errorf("of another registry: %q, %v", got, err)
	}
	if _, err := credentials("bad.example.com"); err == nil || strings.Contains(err.Error(), "%") && !strings.Contains(err.Error(), "docker login") {
		t.Errorf("bad ones: %v", err)
	}
	write("{")
	if _, err := credentials("registry.example.com"); err == nil {
		t.Error("a broken file is no error")
	}
}

func frame(stream byte, text string) []byte {
	b := make([]byte, frameHeader, frameHeader+len(text))
	b[0] = stream
	binary.BigEndian.PutUint32(b[4:], uint32(len(text)))
	return append(b, text...)
}

func TestDemultiplex(t *testing.T) {
	all := bytes.Join([][]byte{frame(1, "a"), frame(2, "b"), frame(1, ""), frame(1, strings.Repeat("c", 100_000)), frame(2, "d\n")}, nil)
	var stdout, stderr bytes.Buffer
	if err := demultiplex(bytes.NewReader(all), &stdout, &stderr); err != nil || stdout.String() != "a"+strings.Repeat("c", 100_000) || stderr.String() != "bd\n" {
		t.Errorf("%d bytes on stdout, %q on stderr, %v", stdout.Len(), stderr.String(), err)
	}
	for what, input := range map[string][]byte{"a cut header": all[:len(all)-12], "a cut frame": all[:len(all)-1], "another stream": frame(3, "x")} {
		if err := demultiplex(bytes.NewReader(input), io.Discard, io.Discard); err == nil {
			t.Errorf("%s is no error", what)
		}
	}
	// One stream that nobody reads any more holds up no other.
	r, w := io.Pipe()
	r.Close()
	stderr.Reset()
	if err := demultiplex(bytes.NewReader(all), w, &stderr); err != nil || stderr.String() != "bd\n" {
		t.Errorf("with stdout closed: %q, %v", stderr.String(), err)
	}
}

func FuzzDemultiplex(f *testing.F) {
	f.Add(frame(1, "a"))
	f.Add(append(frame(2, "b"), frame(1, "c")[:9]...))
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 'x'})
	f.Fuzz(func(t *testing.T, in []byte) {
		var stdout, stderr bytes.Buffer
		err := demultiplex(bytes.NewReader(in), &stdout, &stderr)
		if n := stdout.Len() + stderr.Len(); n > len(in) || err == nil && len(in) > 0 && n > len(in)-frameHeader {
			t.Errorf("%d bytes became %d", len(in), n)
		}
		if errors.Is(err, io.EOF) {
			t.Errorf("an end within a frame passes for a good one: %v", err)
		}
	})
}
