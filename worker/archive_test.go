package worker_test

import (
	"archive/zip"
	"bytes"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// archive returns a zip of names and texts by turns.
func archive(t *testing.T, namesAndTexts ...string) string {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for i := 0; i < len(namesAndTexts); i += 2 {
		f, err := w.Create(namesAndTexts[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(namesAndTexts[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestArchivesRun(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		files      []string
		result     string
	}{
		{"python", kind.Python, []string{
			"__main__.py", "from lib.words import word\ndef main(a): return {'word': word(), 'data': open('data.txt').read()}",
			"lib/__init__.py", "", "lib/words.py", "def word(): return 'hi'", "data.txt", "42"}, `{"word":"hi","data":"42"}`},
		{"python virtualenv", kind.Python, []string{
			"__main__.py", "import carried\ndef main(a): return carried.answer",
			"virtualenv/lib/python3.11/site-packages/carried.py", "answer = [42]"}, `[42]`},
		{"python activate_this", kind.Python, []string{
			"__main__.py", "import carried\ndef main(a): return carried.answer",
			"virtualenv/bin/activate_this.py", "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'packages'))",
			"virtualenv/packages/carried.py", "answer = [43]"}, `[43]`},
		{"node", kind.NodeJS, []string{
			"package.json", `{"main":"lib/start.js"}`, "lib/start.js", "const dep = require('dep'); exports.main = () => ({ dep })",
			"node_modules/dep/index.js", "module.exports = 'hi'"}, `{"dep":"hi"}`},
		{"node index", kind.NodeJS, []string{"index.js", "exports.main = () => [1]"}, `[1]`},
		{"node module", kind.NodeJS, []string{
			"package.json", `{"type":"module"}`, "index.js", "import { x } from './x.js'; export const main = () => ({ x })", "x.js", "export const x = 1"}, `{"x":1}`},
		{"native", kind.Native, []string{"exec", "#!/bin/sh\necho '{\"ok\":true}' >&3; read x; cat data >&3\n", "data", "[1]\n"}, `[1]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, sum := run(t, start(t, c.kind, archive(t, c.files...)), value(`{}`))
			wantOutcome(t, sum, function.OutcomeOK, "")
			want(t, "result", out.result(), c.result)
		})
	}
}
