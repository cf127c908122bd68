package test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// A recipe is a function of some kind, and what it must do.
type recipe struct {
	name, kind, main string
	code             string
	binary           bool
	want             string // the result for {"n":1}, as JSON
	envs             string // the environments that it builds; empty: none
	needs            func(*testing.T)
}

// packedAs turns files into the code of a recipe.
func (r recipe) packedAs(archive []byte) recipe {
	r.code, r.binary = string(archive), true
	return r
}

func (r recipe) spec(namespace string) function.Spec {
	return specOf(r.kind, r.code, func(s *function.Spec) {
		s.Namespace, s.Action, s.Binary = namespace, strings.ReplaceAll(r.name, " ", "-"), r.binary
		if r.main != "" {
			s.Main = r.main
		}
	})
}

const (
	plusPy  = "def main(args):\n    return {'n': args['n'] + 1}\n"
	plusJS  = "function main(args) { return { n: args.n + 1 } }\n"
	plusGo  = "package main\n\nfunc Main(args map[string]interface{}) map[string]interface{} {\n\treturn map[string]interface{}{\"n\": args[\"n\"].(float64) + 1}\n}\n"
	echoSh  = "#!/bin/sh\necho '{\"ok\":true}' >&3\nwhile read -r line; do echo \"$line\" >&3; done\n"
	vendor  = "WORD = 'from the virtualenv'\n"
	isJS    = "const is = require('is-number')\nexports.main = args => ({ is: is(args.n) })\n"
	isJSON  = `{"name": "f", "main": "start.js", "dependencies": {"is-number": "7.0.0"}}`
	plainGo = "package main\n\nimport \"example.com/plus/lib\"\n\nfunc Add(args map[string]interface{}) map[string]interface{} {\n\treturn map[string]interface{}{\"n\": lib.Add(args[\"n\"].(float64))}\n}\n"
	iniPy   = "import iniconfig, sys\nfrom importlib.metadata import version\ndef main(args):\n    return {'version': version('iniconfig'), 'own': 'envs' in sys.prefix}\n"
)

// recipes are functions of all kinds that need no build, or a quick one.
func recipes(t *testing.T) []recipe {
	const virtual = "virtualenv/lib/python3.11/site-packages/"
	activate := "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'packages'))\n"
	wordPy := "from word import WORD\ndef main(args):\n    return {'word': WORD}\n"
	return []recipe{
		{name: "python source", kind: "python:3", code: plusPy, want: `{"n":2}`},
		{name: "python default", kind: "python:default", code: strings.Replace(plusPy, "main", "plus", 1), main: "plus", want: `{"n":2}`},
		recipe{name: "python zip", kind: "python:3", want: `{"n":3}`}.packedAs(zipOf(t, map[string]string{
			"__main__.py": "from lib.more import more\ndef main(args):\n    return {'n': more(args['n'])}\n", "lib/__init__.py": "", "lib/more.py": "def more(n): return n + 2\n"})),
		recipe{name: "python tar.gz", kind: "python:3", want: `{"n":2}`}.packedAs(tarGzOf(t, map[string]string{"__main__.py": plusPy})),
		recipe{name: "python virtualenv", kind: "python:3", want: `{"word":"from the virtualenv"}`}.packedAs(zipOf(t, map[string]string{
			"__main__.py": wordPy, virtual + "word.py": vendor, "requirements.txt": "there-is-no-such-package==0"})),
		recipe{name: "python virtualenv that is activated", kind: "python:3", want: `{"word":"from the virtualenv"}`}.packedAs(zipOf(t, map[string]string{
			"__main__.py": wordPy, "virtualenv/bin/activate_this.py": activate, "virtualenv/packages/word.py": vendor})),
		{name: "node script", kind: "nodejs:20", code: plusJS, want: `{"n":2}`},
		{name: "node exports", kind: "nodejs:default", code: "exports.plus = async args => ({ n: args.n + 1 })\n", main: "plus", want: `{"n":2}`},
		{name: "node promise", kind: "nodejs:20", code: "function main (args) { return new Promise(resolve => setTimeout(resolve, 1, { n: args.n + 1 })) }\n", want: `{"n":2}`},
		{name: "node module", kind: "nodejs:20", code: "import path from 'node:path'\nexport async function main (args) { return { n: args.n + 1, base: path.basename('/a/b') } }\n", want: `{"base":"b","n":2}`},
		recipe{name: "node zip", kind: "nodejs:20", want: `{"n":2}`}.packedAs(zipOf(t, map[string]string{
			"package.json": `{"main":"lib/start.js"}`, "lib/start.js": "exports.main = require('./plus')\n", "lib/plus.js": "module.exports = args => ({ n: args.n + 1 })\n"})),
		recipe{name: "node zip of modules", kind: "nodejs:20", want: `{"n":2}`}.packedAs(zipOf(t, map[string]string{
			"package.json": `{"type":"module","main":"start.js"}`, "start.js": "export { plus as main } from './plus.js'\n", "plus.js": "export const plus = args => ({ n: args.n + 1 })\n"})),
		recipe{name: "node zip with modules", kind: "nodejs:20", want: `{"word":"brought along"}`}.packedAs(zipOf(t, map[string]string{
			"package.json": `{"dependencies":{"word":"1.0.0"}}`, "index.js": "exports.main = () => ({ word: require('word') })\n",
			"node_modules/word/index.js": "module.exports = 'brought along'\n"})),
		recipe{name: "node tar.gz", kind: "nodejs:20", want: `{"n":2}`}.packedAs(tarGzOf(t, map[string]string{"index.js": plusJS + "exports.main = main\n"})),
		{name: "native script", kind: "native", code: echoSh, binary: true, want: `{"value":{"n":1}}`},
		recipe{name: "native zip", kind: "native:default", want: `{"value":{"n":1}}`}.packedAs(zipOf(t, map[string]string{"exec": echoSh})),
		{name: "compiled", kind: "sh:1", main: "shout", code: "echo MAIN\n", want: `{"said":"shout"}`, envs: "compiled-*"},
		{name: "compiled by default", kind: "sh:default", main: "shout", code: "echo quietly MAIN\n", want: `{"said":"quietly shout"}`, envs: "compiled-*"},
		recipe{name: "compiled tar.gz", kind: "sh:1", want: `{"said":"main"}`, envs: "compiled-*"}.packedAs(tarGzOf(t, map[string]string{"exec": "echo MAIN\n"})),
		recipe{name: "python requirements", kind: "python:3", want: `{"own":true,"version":"2.0.0"}`, envs: "python-*", needs: needPip}.packedAs(zipOf(t, map[string]string{
			"__main__.py": iniPy, "requirements.txt": "iniconfig==2.0.0\n"})),
		recipe{name: "node dependencies", kind: "nodejs:20", want: `{"is":true}`, envs: "node-*", needs: needNPM}.packedAs(zipOf(t, map[string]string{
			"package.json": isJSON, "start.js": isJS})),
	}
}

// goRecipes are Go functions, which take seconds to compile.
func goRecipes(t *testing.T) []recipe {
	return []recipe{
		{name: "go source", kind: "go:1", code: plusGo, want: `{"n":2}`, envs: "go-*", needs: needGo},
		recipe{name: "go module", kind: "go:default", main: "add", want: `{"n":3}`, envs: "go-*", needs: needGo}.packedAs(zipOf(t, map[string]string{
			"go.mod": "module example.com/plus\n\ngo 1.21\n", "main.go": plainGo, "lib/lib.go": "package lib\n\nfunc Add(n float64) float64 { return n + 2 }\n"})),
	}
}

// compileSh is a compiler by the ActionLoop contract. Its language is one shell command, whose words are the answer.
const compileSh = `#!/bin/sh
set -e
cd "$2"
grep -q MAIN exec || { echo "the program has no MAIN"; exit 0; }
{
	echo '#!/bin/sh'
	echo 'echo "{\"ok\":true}" >&3'
	echo 'while read -r line; do printf "{\"said\":\"%s\"}\n" "$('
	sed "s/MAIN/$1/" exec
	echo ')" >&3; done'
} > "$3/exec"
`

// compiler is the flag for a kind sh:1, whose compiler everybody may run.
func compiler(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(publicDir(t, os.Geteuid()), "compile")
	if err := os.WriteFile(path, []byte(compileSh), 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{"--compiler", "sh:1=" + path}
}

func tarGzOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return gzipped(t, buf.Bytes())
}

// Whether the package indexes can be reached is asked once.
var (
	pipWorks = sync.OnceValue(func() error {
		dir, err := os.MkdirTemp("", "pip-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		return said(exec.Command("python3", "-m", "pip", "download", "--no-deps", "--dest", dir, "iniconfig==2.0.0"))
	})
	npmWorks = sync.OnceValue(func() error { return said(exec.Command("npm", "view", "is-number@7.0.0", "version")) })
)

func said(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func needPip(t *testing.T) { need(t, "pip", pipWorks) }
func needNPM(t *testing.T) { need(t, "npm", npmWorks) }

// need skips where the package index cannot be reached, unless the environment says that it must be.
func need(t *testing.T, what string, works func() error) {
	t.Helper()
	if err := works(); err != nil && os.Getenv("WHISKAWAY_NEED_INDEX") == "" {
		t.Skipf("%s does not work here: %v", what, err)
	}
}

func needGo(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no Go toolchain here")
	}
}

// Every kind, in every environment: init, two runs, and nothing built twice.
func TestKindsInEveryEnvironment(t *testing.T) {
	for name, begin := range environments(t) {
		t.Run(name, func(t *testing.T) {
			d := begin(t, compiler(t)...)
			for _, r := range recipes(t) {
				t.Run(r.name, func(t *testing.T) { d.cook(t, r) })
			}
			t.Run("what does not compile", d.doesNotCompile)
		})
	}
}

func TestGoKindIsCompiledOnce(t *testing.T) {
	needGo(t)
	all := environments(t)
	for name, begin := range all {
		if (name == "nobody" || name == "root without CAP_SYS_ADMIN") && !slow() {
			continue // compiling the standard library takes long
		}
		t.Run(name, func(t *testing.T) {
			d := begin(t)
			for _, r := range goRecipes(t) {
				t.Run(r.name, func(t *testing.T) { d.cook(t, r) })
			}
			const code = "package main\n\nfunc Main(args map[string]interface{}) map[string]interface{} {\n\treturn nothing\n}\n"
			d.failsToStart(t, specOf("go:1", code), code, "cannot be compiled: ./main.go:4:9: undefined: nothing", "undefined: nothing")
		})
	}
}

// cook runs the recipe twice, then the same code as another tenant's function, which finds what was built.
func (d *solo) cook(t *testing.T, r recipe) {
	if r.needs != nil {
		r.needs(t)
	}
	before := d.built("*")
	d.twice(t, r, "guest")
	built := d.built("*")
	if len(built) > len(before) != (r.envs != "") {
		t.Errorf("there were %d environments, and there are %d", len(before), len(built))
	}
	if r.envs != "" && len(d.built(r.envs)) == 0 {
		t.Errorf("there is no %s among %v", r.envs, built)
	}
	d.twice(t, r, "stranger")
	again := d.built("*")
	if len(again) != len(built) {
		t.Errorf("there were %d environments, and there are %d", len(built), len(again))
	}
	for path, info := range built {
		if now := again[path]; now == nil || !os.SameFile(info, now) || !info.ModTime().Equal(now.ModTime()) {
			t.Errorf("%s was built again", filepath.Base(path))
		}
	}
}

func (d *solo) twice(t *testing.T, r recipe, namespace string) {
	t.Helper()
	g, err := d.tryInit(t.Context(), r.spec(namespace), r.code)
	if err != nil {
		t.Fatalf("%v\n%s", err, function.AsError(err).Logs)
	}
	g.t = t
	for range 2 {
		got, _ := json.Marshal(g.run(`{"n":1}`))
		if string(got) != r.want {
			t.Errorf("it answered %s, want %s", got, r.want)
		}
	}
	g.stop()
}

// built lists the complete environments whose name matches the pattern.
func (d *solo) built(pattern string) map[string]fs.FileInfo {
	all := map[string]fs.FileInfo{}
	marks, _ := filepath.Glob(filepath.Join(d.dir, "envs", pattern, ".whiskaway-complete"))
	for _, mark := range marks {
		if info, err := os.Stat(filepath.Dir(mark)); err == nil {
			all[filepath.Dir(mark)] = info
		}
	}
	return all
}

// Functions whose code differs share what the same list asks for; those that come at once wait for the one that builds it.
func TestFunctionsWithTheSameListShareItsEnvironment(t *testing.T) {
	needPip(t)
	needNPM(t)
	d := startSolo(t)
	python := func(n int, list string) recipe {
		return recipe{name: fmt.Sprint("python", n), kind: "python:3"}.packedAs(zipOf(t, map[string]string{
			"__main__.py": fmt.Sprintf("import iniconfig\ndef main(args):\n    return {'n': %d}\n", n), "requirements.txt": list}))
	}
	node := func(n int, json string) recipe {
		return recipe{name: fmt.Sprint("node", n), kind: "nodejs:20"}.packedAs(zipOf(t, map[string]string{
			"package.json": json, "start.js": fmt.Sprintf("require('is-number')\nexports.main = () => ({ n: %d })\n", n)}))
	}
	const other = `{"version": "2.0.0", "main": "start.js", "dependencies": {"is-number": "7.0.0"}}` // the same dependencies
	var inits sync.WaitGroup
	for n, r := range []recipe{
		python(0, "iniconfig==2.0.0\n"), python(1, "iniconfig==2.0.0"), python(2, "# pinned\n\niniconfig==2.0.0  # this one\n"),
		node(3, isJSON), node(4, other), node(5, isJSON),
	} {
		inits.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			g, err := d.tryInit(ctx, r.spec("guest"), r.code)
			if err != nil {
				t.Errorf("%s: %v\n%s", r.name, err, function.AsError(err).Logs)
				return
			}
			if e := g.try(t.Context(), `{}`, patience); string(e.result) != fmt.Sprintf(`{"n":%d}`, n) {
				t.Errorf("%s: %s, %+v, %v", r.name, e.result, e.Summary, e.err)
			}
		})
	}
	inits.Wait()
	if built := d.built("*"); len(built) != 2 || len(d.built("python-*")) != 1 || len(d.built("node-*")) != 1 {
		t.Errorf("there are the environments %v", built)
	}
	r := python(6, "iniconfig<2.0.0")
	if n := d.init(r.spec("guest"), r.code).run(`{}`)["n"]; n != 6.0 || len(d.built("python-*")) != 2 {
		t.Errorf("%v; another list has made %v", n, d.built("python-*"))
	}
}

// Those who come while something is built for the first one get it as soon as it is there, though he uses it on.
func TestInitsAtOnceShareOneBuild(t *testing.T) {
	d := startSolo(t, compiler(t)...)
	var inits sync.WaitGroup
	for n := range 8 {
		inits.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			spec := specOf("sh:1", "echo MAIN\n", func(s *function.Spec) { s.Namespace = fmt.Sprint("guest", n) })
			if _, err := d.tryInit(ctx, spec, "echo MAIN\n"); err != nil {
				t.Errorf("function %d: %v", n, err)
			}
		})
	}
	inits.Wait()
	if built := d.built("*"); len(built) != 1 {
		t.Errorf("there are the environments %v", built)
	}
}

// failsToStart checks an init that must fail, by the function's own fault.
func (d *solo) failsToStart(t *testing.T, spec function.Spec, code, words, logs string) {
	t.Helper()
	g, err := d.tryInit(t.Context(), spec, code)
	if function.CodeOf(err) != function.CodeInitFailed || !strings.Contains(err.Error(), words) {
		t.Errorf("init: %v, want %q", err, words)
		return
	}
	if got := function.AsError(err).Logs; !strings.Contains(got, logs) {
		t.Errorf("the logs are %q, want %q", got, logs)
	}
	g.stop()
}

func (d *solo) doesNotCompile(t *testing.T) {
	before := len(d.built("*"))
	d.failsToStart(t, specOf("sh:1", "echo\n"), "echo\n", "the program has no MAIN", "the program has no MAIN")
	if after := len(d.built("*")); after != before {
		t.Errorf("it left %d environments", after-before)
	}
}

// Several interpreters side by side are listed, and each serves its own kind.
func TestInterpretersSideBySide(t *testing.T) {
	const python = "/usr/bin/python3"
	out, err := exec.Command(python, "-c", "import platform; print(platform.python_version())").Output()
	if err != nil {
		t.Skipf("there is no %s: %v", python, err)
	}
	version := strings.TrimSpace(string(out))
	minor := "python:" + version[:strings.LastIndex(version, ".")]
	flags := compiler(t)
	flags = append(flags, "--kind", minor+"="+python, "--compiler", strings.Replace(flags[1], "sh:1", "nodejs:20", 1))
	d := startSolo(t, flags...)
	kinds := d.status().Servers[0].Kinds
	t.Logf("%+v", kinds)
	for _, want := range []function.Kind{{Name: minor, Version: version}, {Name: "sh:1"}, {Name: "nodejs:20"}, {Name: "native"}} {
		if !slices.Contains(kinds, want) {
			t.Errorf("%+v is missing", want)
		}
	}
	names := map[string]bool{}
	for _, k := range kinds {
		if names[k.Name] {
			t.Errorf("%s is listed twice", k.Name)
		}
		names[k.Name] = true
	}
	code := "import platform, sys\ndef main(args):\n    return {'version': platform.python_version(), 'path': sys.executable}\n"
	for kind := range names {
		if !strings.HasPrefix(kind, "python:") {
			continue
		}
		got := d.init(specOf(kind, code), code).run(`{}`)
		if kind == minor && (got["version"] != version || !strings.HasPrefix(got["path"].(string), "/usr/bin/python3")) {
			t.Errorf("%s is run by %v", kind, got)
		}
	}
	if said := d.init(specOf("nodejs:20", "echo MAIN\n"), "echo MAIN\n").run(`{}`)["said"]; said != "main" {
		t.Errorf("the compiler that stands over an interpreter was not asked: %v", said)
	}
	_, err = d.tryInit(t.Context(), specOf("cobol:1", code), code)
	if function.CodeOf(err) == "" || !strings.Contains(fmt.Sprint(err), "cobol:1") || !strings.Contains(fmt.Sprint(err), minor) {
		t.Errorf("a kind that is not there: %v", err)
	}
}

// What setup prints begins the logs of the first run; that it was called once, its counter says.
var setups = map[string]recipe{
	"python":         {kind: "python:3", code: "calls = 0\ndef setup():\n    global calls\n    calls += 1\n    print('set up')\ndef main(args):\n    return {'calls': calls}\n"},
	"python async":   {kind: "python:3", code: "import asyncio\ncalls = 0\nasync def setup():\n    global calls\n    await asyncio.sleep(0.001)\n    calls += 1\n    print('set up')\ndef main(args):\n    return {'calls': calls}\n"},
	"node script":    {kind: "nodejs:20", code: "let calls = 0\nasync function setup () {\n  await null\n  calls++\n  console.log('set up')\n}\nfunction main () { return { calls } }\n"},
	"node module":    {kind: "nodejs:20", code: "let calls = 0\nexport function setup () {\n  calls++\n  console.log('set up')\n}\nexport const main = () => ({ calls })\n"},
	"for 10 threads": {kind: "python:3", code: "calls = 0\ndef setup():\n    global calls\n    calls += 1\n    print('set up')\ndef main(args):\n    return {'calls': calls}\n", main: "10"},
}

func TestSetupIsCalledOnceBeforeTheFirstRun(t *testing.T) {
	for name, begin := range environments(t) {
		t.Run(name, func(t *testing.T) {
			d := begin(t)
			for name, r := range setups {
				spec := specOf(r.kind, r.code, func(s *function.Spec) {
					s.Action, s.Require.Workers = strings.ReplaceAll(name, " ", "-"), 1
					if r.main == "10" {
						s.Require.Concurrency = 10
					}
				})
				g := d.init(spec, r.code)
				var logs []string
				for range 3 {
					e := g.try(t.Context(), `{}`, patience)
					if string(e.result) != `{"calls":1}` {
						t.Errorf("%s: %s, %+v, %v", name, e.result, e.Summary, e.err)
					}
					logs = append(logs, e.logs)
				}
				if !slices.Equal(logs, []string{"set up\n", "", ""}) {
					t.Errorf("%s: the logs are %q", name, logs)
				}
			}
		})
	}
}

// A setup that fails at the first time only: what it has tried is in the namespace's cache.
var failingSetups = map[string]recipe{
	"python": {kind: "python:3", want: "Traceback", code: `
import os
path = os.environ["WHISKAWAY_CACHE"] + "/python-tries"
def tries():
    return len(open(path).read()) if os.path.exists(path) else 0
def setup():
    with open(path, "a") as f: f.write("x")
    print("this is try", tries())
    if tries() == 1: raise ValueError("not yet")
def main(args):
    return {"tries": tries()}
`},
	"nodejs": {kind: "nodejs:20", want: "at setup", code: `
const fs = require('node:fs')
const path = process.env.WHISKAWAY_CACHE + '/node-tries'
const tries = () => fs.existsSync(path) ? fs.readFileSync(path).length : 0
exports.setup = async function setup () {
  fs.appendFileSync(path, 'x')
  console.log('this is try', tries())
  if (tries() === 1) throw new RangeError('not yet')
}
exports.main = () => ({ tries: tries() })
`},
}

func TestSetupThatFailsIsTriedAgainAtTheNextInit(t *testing.T) {
	d := startSolo(t)
	for name, r := range failingSetups {
		t.Run(name, func(t *testing.T) {
			spec := specOf(r.kind, r.code)
			_, err := d.tryInit(t.Context(), spec, r.code)
			if function.CodeOf(err) != function.CodeInitFailed || !strings.Contains(err.Error(), "setup: ") || !strings.Contains(err.Error(), "Error: not yet") {
				t.Fatalf("init: %v", err)
			}
			logs := function.AsError(err).Logs
			for _, want := range []string{"this is try 1", r.want, "Error: not yet"} {
				if !strings.Contains(logs, want) {
					t.Errorf("%q is not in the logs %q", want, logs)
				}
			}
			if strings.Contains(logs, "launcher") {
				t.Errorf("our own frames are in the logs %q", logs)
			}
			var g *guest
			eventually(t, "the setup works", func() bool {
				g, err = d.tryInit(t.Context(), spec, r.code)
				return err == nil
			})
			g.t = t
			if got := g.run(`{}`)["tries"]; got != 2.0 {
				t.Errorf("it was tried %v times", got)
			}
		})
	}
}

// Each waits until all three are there, so they overlap, and tells before and after whose run it is.
var overlapping = map[string]recipe{
	"python threads": {kind: "python:3", code: `
import os, threading
together = threading.Barrier(3)
def main(args):
    me = os.environ["__OW_ACTIVATION_ID"]
    print("before", args["n"], me)
    together.wait(60)
    print("after", args["n"], os.environ["__OW_ACTIVATION_ID"], os.environ["__OW_EXTRA"])
    return {"n": args["n"], "id": os.getenv("__OW_ACTIVATION_ID"), "pid": os.getpid(), "same": dict(os.environ)["__OW_ACTIVATION_ID"] == me}
`},
	"python async": {kind: "python:3", code: `
import asyncio, os, threading
together = threading.Barrier(3)
async def main(args):
    me = os.environ["__OW_ACTIVATION_ID"]
    print("before", args["n"], me)
    await asyncio.to_thread(together.wait, 60)
    print("after", args["n"], os.environ["__OW_ACTIVATION_ID"], os.environ["__OW_EXTRA"])
    return {"n": args["n"], "id": os.getenv("__OW_ACTIVATION_ID"), "pid": os.getpid(), "same": dict(os.environ)["__OW_ACTIVATION_ID"] == me}
`},
	"node": {kind: "nodejs:20", code: `
const waiting = []
exports.main = async args => {
  const me = process.env.__OW_ACTIVATION_ID
  console.log('before', args.n, me)
  await new Promise(resolve => { if (waiting.push(resolve) === 3) waiting.splice(0).forEach(r => setTimeout(r, 1)) })
  console.log('after', args.n, process.env.__OW_ACTIVATION_ID, process.env.__OW_EXTRA)
  return { n: args.n, id: process.env.__OW_ACTIVATION_ID, pid: process.pid, same: { ...process.env }.__OW_ACTIVATION_ID === me }
}
`},
}

func TestRunsOverlapInOneWorkerEachWithItsOwnLogsAndContext(t *testing.T) {
	d := startSolo(t)
	for name, r := range overlapping {
		t.Run(name, func(t *testing.T) {
			g := d.init(specOf(r.kind, r.code, func(s *function.Spec) { s.Require.Concurrency, s.Require.Workers = 3, 1 }), r.code)
			g.t = t
			var pids sync.Map
			for round := range 3 { // the same threads serve other runs
				var runs sync.WaitGroup
				for i := range 3 {
					runs.Go(func() { pids.Store(g.overlap(3*round+i), true) })
				}
				runs.Wait()
			}
			n := 0
			pids.Range(func(any, any) bool { n++; return true })
			if n != 1 {
				t.Errorf("%d processes, want 1", n)
			}
		})
	}
}

// overlap makes run n, checks what it tells of itself, and returns its process.
func (g *guest) overlap(n int) any {
	id, extra := fmt.Sprintf("activation-%d", n), fmt.Sprintf("extra-%d", n)
	body := fmt.Appendf(nil, `{"value":{"n":%d},"activation_id":%q,"extra":%q}`, n, id, extra)
	var result, logs bytes.Buffer
	out := function.OutputFunc(func(s function.Stream, p []byte) error {
		if s == function.Result {
			result.Write(p)
		} else {
			logs.Write(p)
		}
		return nil
	})
	sum, err := g.d.client.Run(context.WithoutCancel(g.t.Context()), g.id, g.claim, &function.Activation{Body: function.BytesBody(body), Timeout: patience}, out)
	if err != nil || sum.Outcome != function.OutcomeOK {
		g.t.Errorf("run %d: %v, %+v, %s", n, err, sum, logs.String())
		return nil
	}
	if want := fmt.Sprintf("before %d %s\nafter %d %s %s\n", n, id, n, id, extra); logs.String() != want {
		g.t.Errorf("run %d: the logs are %q, want %q", n, logs.String(), want)
	}
	var told map[string]any
	if err := json.Unmarshal(result.Bytes(), &told); err != nil || told["n"] != float64(n) || told["id"] != id || told["same"] != true {
		g.t.Errorf("run %d: %s, %v", n, result.String(), err)
	}
	return told["pid"]
}
