package test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// An entry is a file of a zip that is made for a test.
type proxyFile struct {
	name, text string
	mode       fs.FileMode
}

// proxyZip is a zip as the code of an /init.
func proxyZip(t *testing.T, entries ...proxyFile) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(max(e.mode, 0o644))
		out, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func proxyBinary(main, code string, env map[string]string) string {
	b, _ := json.Marshal(map[string]any{"value": map[string]any{"name": "f", "main": main, "code": code, "binary": true, "env": env}})
	return string(b)
}

// proxyInit sends an /init that has to succeed.
func (c *container) proxyInit(body string) {
	c.t.Helper()
	if status, b := c.post("/init", body); status != 200 {
		c.t.Fatalf("/init: %d %s", status, b)
	}
}

// answers sends a /run whose answer has to be want.
func (c *container) proxyAnswers(value, want string) {
	c.t.Helper()
	if status, b := c.post("/run", runBody(value, "id", time.Now().Add(patience))); status != 200 || compact(c.t, b) != want {
		c.t.Errorf("/run: %d %s, not %s", status, b, want)
	}
}

func TestACompilerScriptServesAllKinds(t *testing.T) {
	const code = "import os\ndef hello(args):\n    print('a log')\n    return {'args': args, 'id': os.environ['__OW_ACTIVATION_ID'], 'built': open('built-with').read().split()}\n"
	env := map[string]string{"COLOR": "blue", "__OW_API_KEY": "k", "__OW_ACTIVATION_ID": "first"}
	for name, settings := range map[string][]string{
		"no kind":  nil,
		"a kind":   {"WHISKAWAY_KIND=python:3"},
		"its own":  {"WHISKAWAY_KIND=cobol:74"},
		"an image": {"OW_WAIT_FOR_ACK=1", "OW_EXECUTION_ENV=test/python:1"},
	} {
		t.Run(name, func(t *testing.T) {
			want := []string{"COLOR", "__OW_API_KEY"} // nothing of the first activation
			if name == "an image" {
				want = append(want, "__OW_EXECUTION_ENV")
			}
			built, _ := json.Marshal(append(want, "__OW_PROXY_VERSION"))
			answer := `{"args":{"n":1},"id":"id","built":` + string(built) + `}`
			for _, body := range []string{
				initBody("hello", code, env),
				proxyBinary("hello", proxyZip(t, proxyFile{name: "__main__.py", text: "from other import hello"}, proxyFile{name: "other.py", text: code}), env),
			} {
				r := startRuntime(t, append(settings, "OW_COMPILER="+proxyScript(t, compileScript))...)
				r.proxyInit(body)
				r.proxyAnswers(`{"n":1}`, answer)
				r.stop()
				if !slices.Contains(r.lines(), "a log") {
					t.Errorf("the log is %q", r.lines())
				}
			}
		})
	}
}

// What is compiled already is not compiled: neither a script alone, nor an exec in an archive.
func TestPrecompiledActions(t *testing.T) {
	const answer = `{"from":"loop","line":{"value":{}}}`
	run := func(t *testing.T, r *container) {
		t.Helper()
		if status, b := r.post("/run", `{"value":{}}`); status != 200 || compact(t, b) != answer {
			t.Errorf("/run: %d %s", status, b)
		}
	}
	refuses := "OW_COMPILER=" + proxyScript(t, "#!/bin/sh\necho this must not be compiled\n")
	archive := proxyZip(t, proxyFile{"exec", loopScript, 0o755}, proxyFile{name: "exec.env", text: " image:1\n"})
	for name, c := range map[string]struct {
		body     string
		settings []string
	}{
		"a script, with a compiler":       {initBody("main", loopScript, nil), []string{refuses}},
		"a script, without a kind":        {initBody("main", loopScript, nil), nil},
		"an archive, with a compiler":     {proxyBinary("main", archive, nil), []string{refuses}},
		"an archive, without a kind":      {proxyBinary("main", archive, nil), nil},
		"an archive for Python":           {proxyBinary("main", archive, nil), []string{"WHISKAWAY_KIND=python:3"}},
		"an archive for Node.js":          {proxyBinary("main", archive, nil), []string{"WHISKAWAY_KIND=nodejs:20"}},
		"its execution environment":       {proxyBinary("main", archive, nil), []string{refuses, "OW_EXECUTION_ENV=image:1"}},
		"with an ack that was asked for":  {initBody("main", loopScript, nil), []string{"OW_WAIT_FOR_ACK=1"}},
		"without an ack that may be sent": {initBody("main", loopScript, map[string]string{"NO_ACK": "1"}), []string{"OW_WAIT_FOR_ACK="}},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRuntime(t, c.settings...)
			r.proxyInit(c.body)
			run(t, r)
			run(t, r)
		})
	}
}

func TestAJarIsNotUnpacked(t *testing.T) {
	const compiler = `#!/bin/sh
cat > "$3/exec" <<END
#!/bin/sh
echo '{"ok":true}' >&3
while read -r line; do echo "{\"files\":\"$(ls $2 | tr '\n' ' ')\"}" >&3; done
END
`
	jar := proxyZip(t, proxyFile{name: "META-INF/MANIFEST.MF", text: "Manifest-Version: 1.0\n"}, proxyFile{name: "Main.class", text: "x"})
	for setting, want := range map[string]string{"OW_SAVE_JAR=exec.jar": "exec.jar ", "OW_SAVE_JAR=": "META-INF Main.class "} {
		r := startRuntime(t, "OW_COMPILER="+proxyScript(t, compiler), setting)
		r.proxyInit(proxyBinary("Main", jar, nil))
		r.proxyAnswers("{}", `{"files":"`+want+`"}`)
	}
}

// A second start of the same function is not compiled again; another environment makes another.
func TestCompiledOncePerContent(t *testing.T) {
	counter := t.TempDir() + "/count"
	compiler := "OW_COMPILER=" + proxyScript(t, "#!/bin/sh\necho x >> "+counter+"\ncp \"$2/exec\" \"$3/exec\"\nsed -i '1i#!/bin/sh' \"$3/exec\"\n")
	environments := "WHISKAWAY_ENVIRONMENTS=" + t.TempDir()
	body := strings.TrimPrefix(loopScript, "#!/bin/sh\n")
	count := func() int {
		text, err := os.ReadFile(counter)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "x")
	}
	for i, c := range []struct {
		env  map[string]string
		want int
	}{
		{map[string]string{"A": "1", "__OW_ACTIVATION_ID": "1", "__OW_DEADLINE": "9999999999999"}, 1},
		{map[string]string{"A": "1", "__OW_ACTIVATION_ID": "2", "__OW_TRANSACTION_ID": "x"}, 1},
		{map[string]string{"A": "2"}, 2},
	} {
		r := startRuntime(t, compiler, environments)
		r.proxyInit(initBody("main", body, c.env))
		if got := count(); got != c.want {
			t.Errorf("case %d: compiled %d times, not %d", i, got, c.want)
		}
	}
}
