package docker

import (
	"strings"
	"testing"
)

// Containers see each other in their network. A runtime of ours answers nobody but the platform there.
func TestPlatformContainersAnswerOnlyThePlatform(t *testing.T) {
	p := startPlatform(t, t.TempDir())
	p.put("keeper", exe{Kind: "python:3", Code: "import socket\ndef main(a):\n    return {'at': socket.gethostbyname(socket.gethostname())}"}, `{"memory": 128}`)
	at := p.result("keeper", "{}") // it is warm now
	p.put("caller", exe{Kind: "python:3", Code: `import urllib.request, urllib.error
def main(a):
    try:
        return {"said": urllib.request.urlopen("http://%s:8080/run" % a["at"], b'{"value":{}}').read().decode()}
    except urllib.error.HTTPError as e:
        return {"said": "%d %s" % (e.code, e.read().decode().strip())}
`}, `{"memory": 128}`)
	if said := p.result("caller", at); !strings.Contains(said, "403") || !strings.Contains(said, "answers only the platform") {
		t.Errorf("another container was answered: %s", said)
	}
	if again := p.result("keeper", "{}"); again != at {
		t.Errorf("the platform was answered %s, before %s", again, at)
	}
}
