package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A language is a kind of functions, with code for the cases.
type language struct {
	name, kind string
	entry      string // the file of an archive that is started
	all        code   // does what the cases ask for
	hello      string // source whose function "hello" answers {"hello": its argument}; a native one always does
	failing    map[string]failure
	working    map[string]form
}

// A failure is code that cannot become ready.
type failure struct {
	code  code
	more  fields // of the /init
	words string // that the error must have
	logs  string // and that must be on stderr
}

// A form is a way to pack or to write a function that answers {"form": …}.
type form struct {
	code code
	more fields
	want string
}

// broken are archives that no language can take, made from a good one.
func broken(t *testing.T, l language) map[string]failure {
	good := zipped(files{l.entry: l.hello})
	return map[string]failure{
		"a truncated zip":              {code: good.cut(), words: "zip"},
		"a damaged zip":                {code: good.spoiled(t), words: "damaged"},
		"a truncated tar.gz":           {code: tarred(files{l.entry: l.hello}).cut(), words: "tar.gz"},
		"an empty zip":                 {code: zipped(nil), words: l.entry},
		"an archive without its entry": {code: zipped(files{"other.txt": "x"}), words: "at its top"},
		"a directory packed as a whole": {code: zipped(files{"mine/" + l.entry: l.hello}),
			words: `pack what is in the directory "mine", not the directory itself`},
		"an entry that leaves the directory":    {code: zipped(files{l.entry: l.hello, "../evil": "x"}), words: `"../evil" would leave`},
		"an entry with an absolute name":        {code: zipped(files{l.entry: l.hello, "/evil": "x"}), words: `"/evil" would leave`},
		"an entry that leaves it in the middle": {code: zipped(files{l.entry: l.hello, "a/../../evil": "x"}), words: "would leave"},
		"a link out of the directory":           {code: linked(t, "out", "../../..", files{l.entry: l.hello}), words: "outside the function's directory"},
	}
}

func python(t *testing.T) language {
	l := language{name: "python", kind: "python:3", entry: "__main__.py", all: fromFile(t, "all.py"),
		hello: "def hello(args):\n    return {'hello': args}\n"}
	answering := func(value string) string { return "def main(args):\n    return {'form': " + value + "}\n" }
	l.failing = broken(t, l)
	more(l.failing, map[string]failure{
		"binary that is no archive": {code: raw([]byte("\x00\x01\x02")), words: "neither a zip nor a tar"},
		"an archive sent as text":   {code: text(string(plainTar(files{l.entry: l.hello}))), words: "send it as binary"},
		"a syntax error":            {code: text("def main(args):\n    return {\n"), words: "SyntaxError", logs: "line 2"},
		"a missing import":          {code: text("print('at first')\nimport no_such_module\n"), words: "ModuleNotFoundError: No module named 'no_such_module'", logs: "no_such_module"},
		"an exception while it loads": {code: text("print('at first')\nraise ValueError('told you')\n"),
			words: "ValueError: told you", logs: "at first"},
		"no such main":           {code: text("def other(args):\n    return {}\n"), words: "'main'; it has other", logs: "'main'"},
		"main is no function":    {code: text("main = 7\n"), words: "'main'"},
		"it ends while it loads": {code: text("import sys\nprint('at first')\nsys.exit(7)\n"), words: "SystemExit: 7", logs: "at first"},
		"its process ends":       {code: text("import os\nprint('at first')\nimport sys; sys.stdout.flush()\nos._exit(7)\n"), words: "code 7", logs: "at first"},
		"its process is killed":  {code: text("import os\nos.kill(os.getpid(), 9)\n"), words: "signal"},
		"it is never ready":      {code: text("import time\ntime.sleep(1000)\n"), words: "time limit"},
		"setup fails":            {code: text("def setup():\n    print('at first')\n    raise ValueError('no model')\ndef main(args): pass\n"), words: "setup: ValueError: no model", logs: "at first"},
	})
	l.working = map[string]form{
		"text":                               {code: text(answering("'text'")), want: `"text"`},
		"text with the line ends of Windows": {code: text(strings.ReplaceAll(answering("'windows'"), "\n", "\r\n")), want: `"windows"`},
		"zip":                                {code: zipped(files{"__main__.py": answering("'zip'")}), want: `"zip"`},
		"tar.gz":                             {code: tarred(files{"__main__.py": answering("'tar'")}), want: `"tar"`},
		"helper modules": {code: zipped(files{"__main__.py": "from helper import a\nfrom lib import b\n" + answering("a + b.b + open('data.txt').read()"),
			"helper.py": "a = 'a'", "lib/__init__.py": "", "lib/b.py": "b = 'b'", "data.txt": "c"}), want: `"abc"`},
		"activate_this.py": {code: zipped(files{"__main__.py": "import brought\n" + answering("brought.what"),
			"virtualenv/bin/activate_this.py": "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(__file__)), 'there'))\n",
			"virtualenv/there/brought.py":     "what = 'activated'"}), want: `"activated"`},
		"a virtualenv without activate_this.py": {code: zipped(files{"__main__.py": "import brought\n" + answering("brought.what"),
			"virtualenv/lib/python3.11/site-packages/brought.py": "what = 'found'"}), want: `"found"`},
		"5 MB of code":        {code: text(answering("'large'") + strings.Repeat("# padding\n", 500_000)), want: `"large"`},
		"another main":        {code: text(strings.Replace(answering("'other'"), "main", "other_name", 1)), more: fields{"main": "other_name"}, want: `"other"`},
		"no main named":       {code: text(answering("'none'")), more: fields{"main": ""}, want: `"none"`},
		"async":               {code: text("import asyncio\nasync def main(args):\n    await asyncio.sleep(0)\n    return {'form': 'async'}\n"), want: `"async"`},
		"setup":               {code: text("ready = 0\ndef setup():\n    global ready\n    ready += 1\n" + answering("ready")), want: `1`},
		"logs while it loads": {code: text("print('loading')\n" + answering("'loaded'")), want: `"loaded"`},
	}
	return l
}

func node(t *testing.T) language {
	l := language{name: "nodejs", kind: "nodejs:20", entry: "index.js", all: fromFile(t, "all.js"),
		hello: "exports.hello = args => ({ hello: args })\n"}
	answering := func(value string) string { return "exports.main = () => ({ form: " + value + " })\n" }
	l.failing = broken(t, l)
	more(l.failing, map[string]failure{
		"binary that is no archive": {code: raw([]byte("\x00\x01\x02")), words: "neither a zip nor a tar"},
		"an archive sent as text":   {code: text(string(plainTar(files{l.entry: l.hello}))), words: "send it as binary"},
		"a syntax error":            {code: text("function main (args) {\n  return {\n"), words: "SyntaxError"},
		"a missing import":          {code: text("console.log('at first')\nrequire('no-such-module')\n"), words: "Cannot find module 'no-such-module'", logs: "at first"},
		"an exception while it loads": {code: text("console.log('at first')\nthrow new TypeError('told you')\n"),
			words: "TypeError: told you", logs: "at first"},
		"no such main":           {code: text("exports.other = () => {}\n"), words: "'main'; it exports other", logs: "'main'"},
		"main is no function":    {code: text("exports.main = 7\n"), words: "'main'"},
		"it ends while it loads": {code: text("console.log('at first')\nprocess.exit(7)\n"), words: "code 7", logs: "at first"},
		"its process ends":       {code: text("console.log('at first')\nprocess.reallyExit(7)\n"), words: "code 7", logs: "at first"},
		"its process is killed":  {code: text("process.kill(process.pid, 'SIGKILL')\nfor (;;);\n"), words: "signal"},
		"it is never ready":      {code: text("for (;;);\n"), words: "time limit"},
		"setup fails":            {code: text("exports.setup = () => { console.log('at first'); throw new TypeError('no model') }\nexports.main = () => ({})\n"), words: "setup: TypeError: no model", logs: "at first"},
	})
	l.working = map[string]form{
		"text":                               {code: text("function main () { return { form: 'text' } }\n"), want: `"text"`},
		"text with the line ends of Windows": {code: text("function main () {\r\n  return { form: 'windows' }\r\n}\r\n"), want: `"windows"`},
		"zip":                                {code: zipped(files{"index.js": answering("'zip'")}), want: `"zip"`},
		"tar.gz":                             {code: tarred(files{"index.js": answering("'tar'")}), want: `"tar"`},
		"helper modules": {code: zipped(files{"index.js": "const { a } = require('./helper')\nconst { b } = require('brought')\n" + answering("a + b + require('fs').readFileSync('data.txt')"),
			"helper.js": "exports.a = 'a'", "node_modules/brought/index.js": "exports.b = 'b'", "data.txt": "c"}), want: `"abc"`},
		"package.json's main":             {code: zipped(files{"package.json": `{"main":"lib/start.js"}`, "lib/start.js": answering("'start'")}), want: `"start"`},
		"package.json's main without .js": {code: zipped(files{"package.json": `{"main":"./lib/start"}`, "lib/start.js": answering("'start'")}), want: `"start"`},
		"5 MB of code":                    {code: text("function main () { return { form: 'large' } }\n" + strings.Repeat("// padding\n", 500_000)), want: `"large"`},
		"an ES module":                    {code: text("import fs from 'node:fs'\nexport function main () { return { form: typeof fs.readFileSync } }\n"), want: `"function"`},
		"a package of ES modules":         {code: zipped(files{"package.json": `{"type":"module","main":"start.js"}`, "start.js": "import { a } from './a.js'\nexport const main = () => ({ form: a })\n", "a.js": "export const a = 'esm'\n"}), want: `"esm"`},
		"an .mjs file":                    {code: zipped(files{"index.mjs": "export default () => ({ form: 'mjs' })\n"}), want: `"mjs"`},
		"another main":                    {code: text("function otherName () { return { form: 'other' } }\n"), more: fields{"main": "otherName"}, want: `"other"`},
		"no main named":                   {code: text("function main () { return { form: 'none' } }\n"), more: fields{"main": ""}, want: `"none"`},
		"async":                           {code: text("async function main () { await new Promise(resolve => setImmediate(resolve)); return { form: 'async' } }\n"), want: `"async"`},
		"setup":                           {code: text("let ready = 0\nfunction setup () { ready++ }\nfunction main () { return { form: ready } }\n"), want: `1`},
		"logs while it loads":             {code: text("console.log('loading')\nfunction main () { return { form: 'loaded' } }\n"), want: `"loaded"`},
	}
	return l
}

// script is an ActionLoop in the shell, with what comes before its ack.
func script(before, ack, answer string) string {
	return "#!/bin/bash\n" + before + "\n" + ack + "\nwhile read -r line; do echo '" + answer + "' >&3; done\n"
}

const goodAck = `echo '{"ok":true}' >&3`

func native(t *testing.T) language {
	elf := build(t)
	l := language{name: "native", kind: "native", entry: "exec", all: raw(elf)}
	l.hello = "#!/bin/bash\n" + goodAck + "\nwhile read -r line; do line=${line#*'\"value\":'}; echo \"{\\\"hello\\\":${line%\\}}}\" >&3; done\n"
	answering := func(value string) string { return script("", goodAck, `{"form":`+value+`}`) }
	foreign := append([]byte(nil), elf...)
	foreign[18], foreign[19] = 22, 0 // e_machine: EM_S390
	l.failing = broken(t, l)
	more(l.failing, map[string]failure{
		"binary that is no archive":              {code: raw([]byte("\x00\x01\x02")), words: "neither an ELF file nor a script"},
		"a syntax error":                         {code: text("#!/bin/bash\nif then\n"), words: "code 2", logs: "syntax error"},
		"a missing import":                       {code: text("#!/bin/bash\necho at first\n. /no/such/file || exit 9\n"), words: "code 9", logs: "/no/such/file"},
		"an interpreter that is not there":       {code: text("#!/no/such/interpreter\n"), words: `names the interpreter "/no/such/interpreter"`},
		"a script with the line ends of Windows": {code: text("#!/bin/sh\r\nexit 7\r\n"), words: "end in CR LF"},
		"its process ends":                       {code: text("#!/bin/bash\necho at first\nexit 7\n"), words: "code 7", logs: "at first"},
		"its process is killed":                  {code: text("#!/bin/bash\nkill -9 $$\n"), words: "signal"},
		"source without #!":                      {code: text("echo hello\n"), words: "no script that begins with #!"},
		"an executable for another machine":      {code: raw(foreign), words: "for another processor"},
		"an ack that is none":                    {code: text(script("", `echo 'hello' >&3`, "{}")), words: `is not the ack {"ok":true}, but "hello"; an executable first writes`},
		"an ack that is too long":                {code: text(script("", `echo "$(head -c 100000 /dev/zero | tr '\0' 'x')" >&3`, "{}")), words: "longer than the ack"},
		"an ack that refuses":                    {code: text(script("echo at first >&2", `echo '{"ok":false,"error":"no model here"}' >&3`, "{}")), words: "no model here", logs: "at first"},
		"it closes its answers":                  {code: text("#!/bin/bash\nexec 3>&-\nexec sleep 1000\n"), words: "file descriptor 3"},
	})
	l.working = map[string]form{
		"text":                {code: text(answering(`"text"`)), want: `"text"`},
		"zip":                 {code: zipped(files{"exec": answering(`"zip"`)}), want: `"zip"`},
		"tar.gz":              {code: tarred(files{"exec": answering(`"tar"`)}), want: `"tar"`},
		"helper modules":      {code: zipped(files{"exec": script(". ./helper", goodAck, `{"form":"'$a$(cat data.txt)'"}`), "helper": "a=a", "data.txt": "c"}), want: `"ac"`},
		"no main named":       {code: text(answering(`"none"`)), more: fields{"main": ""}, want: `"none"`},
		"another main":        {code: text(answering(`"other"`)), more: fields{"main": "other"}, want: `"other"`},
		"5 MB of code":        {code: text(answering(`"large"`) + "exit\n" + strings.Repeat("# padding\n", 500_000)), want: `"large"`},
		"no ack":              {code: text(script("", "", `{"form":"late"}`)), want: `"late"`},
		"logs while it loads": {code: text(script("echo loading", goodAck, `{"form":"loaded"}`)), want: `"loaded"`},
	}
	return l
}

// more adds what a language has of its own.
func more(all, own map[string]failure) {
	for name, f := range own {
		all[name] = f
	}
}

func fromFile(t *testing.T, name string) code {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text(string(b))
}

// build compiles the native function.
func build(t *testing.T) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "native")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", out, "./testdata/native")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the native function: %v\n%s", err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
