package kind_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

const goAction = `package main

import (
	"encoding/json"
	"fmt"
	"os"
)

var bufio json.RawMessage // a name that the launcher must leave alone

func Main(obj map[string]interface{}) map[string]interface{} {
	if obj["panic"] == true {
		panic("oh no")
	}
	data, _ := os.ReadFile("data.txt")
	return map[string]interface{}{"hello": fmt.Sprint(obj["name"]), "id": os.Getenv("__OW_ACTIVATION_ID"), "data": string(data)}
}

func Other(list []int) (int, error) {
	if len(list) == 0 {
		return 0, fmt.Errorf("nothing")
	}
	return list[0], nil
}
`

func requireGo(t *testing.T) *kind.Set {
	t.Helper()
	set := usual(t)
	if !set.Serves(kind.Go) {
		t.Skip("there is no Go toolchain here")
	}
	return set
}

// One test, since all share the compiled standard library.
func TestGoFunctions(t *testing.T) {
	set, envs := requireGo(t), newEnvs(t)
	compiled := 0
	log := func(line string) {
		if line == "compiling the function (once)" {
			compiled++
		}
	}
	cmd := prepareIn(t, set, envs, source(t, "go:1.21", textFile(t, goAction)), log)
	t.Run("text", func(t *testing.T) {
		l := startLoop(t, cmd)
		for body, want := range map[string]string{
			`{"value":{"name":"a"},"activation_id":"1"}`: `{"data":"","hello":"a","id":"1"}`,
			`{"value":{"name":2},"activation_id":"2"}`:   `{"data":"","hello":"2","id":"2"}`,
			`{"value":{"panic":true}}`:                   `{"error":"panic: oh no"}`,
			`{"value":[1]}`:                              `{"error":"json: cannot unmarshal array into Go value of type map[string]interface {}"}`,
		} {
			if got := l.run(body); got != want {
				t.Errorf("%s: %s", body, got)
			}
		}
		if cmd.MayNotAck {
			t.Error("our launcher sends an ack")
		}
	})
	t.Run("again", func(t *testing.T) {
		if again := prepareIn(t, set, envs, source(t, kind.Go, textFile(t, goAction)), log); again.Path != cmd.Path || compiled != 1 {
			t.Errorf("%s, then %s, with %d builds", cmd.Path, again.Path, compiled)
		}
	})
	t.Run("another main, arrays, errors", func(t *testing.T) {
		src := source(t, kind.Go, textFile(t, goAction))
		src.Main = "other"
		l := startLoop(t, prepareIn(t, set, envs, src, nil))
		if got := l.run(`{"value":[42]}`) + l.run(`{"value":[]}`); got != `42{"error":"nothing"}` {
			t.Errorf("got %s", got)
		}
	})
	t.Run("loose files with data", func(t *testing.T) {
		src := source(t, kind.Go, zipFile(t, entry{"a.go", goAction, 0}, entry{"a_test.go", "package main\n\nfunc Main() {}\n", 0}, entry{"data.txt", "data", 0}))
		if got := startLoop(t, prepareIn(t, set, envs, src, nil)).run(`{"value":{}}`); got != `{"data":"data","hello":"\u003cnil\u003e","id":""}` {
			t.Errorf("got %s", got)
		}
	})
	t.Run("module", func(t *testing.T) {
		src := source(t, "go:default", zipFile(t, entry{"go.mod", "module example.com/m\n\ngo 1.13\n", 0}, entry{"lib/lib.go", "package lib\n\nconst Word = \"hi\"\n", 0},
			entry{"main/hello.go", "package main\n\nimport \"example.com/m/lib\"\n\nfunc Hello(o map[string]interface{}) map[string]interface{} {\n\treturn map[string]interface{}{\"word\": lib.Word}\n}\n", 0}))
		src.Main = "hello"
		if got := startLoop(t, prepareIn(t, set, envs, src, nil)).run(`{}`); got != `{"word":"hi"}` {
			t.Errorf("got %s", got)
		}
	})
	t.Run("own main", func(t *testing.T) {
		text := "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() {\n\tfmt.Fprintln(os.NewFile(3, \"\"), `{\"ok\":true}`)\n}\n"
		own := prepareIn(t, set, envs, source(t, kind.Go, textFile(t, text)), nil)
		startLoop(t, own)
		if !own.MayNotAck {
			t.Error("it may be one that sends no ack")
		}
	})
	t.Run("compiled elsewhere", func(t *testing.T) {
		src := source(t, kind.Go, cmd.Path)
		src.Binary = true
		elf, err := set.Prepare(t.Context(), src, nil)
		if err != nil || elf.Path != filepath.Join(src.Dir, "exec") {
			t.Fatalf("%+v, %v", elf, err)
		}
		startLoop(t, elf)
	})
	t.Run("compile error", func(t *testing.T) {
		src := source(t, kind.Go, textFile(t, strings.Replace(goAction, "return map", "undefined()\n\treturn map", 1)))
		src.EnvsDir = envs
		_, err := set.Prepare(t.Context(), src, nil)
		wantFault(t, err, function.CodeInitFailed, "cannot be compiled: ./main.go:16:2: undefined: undefined")
		if logs := function.AsError(err).Logs; !strings.Contains(logs, "undefined: undefined") {
			t.Errorf("logs: %q", logs)
		}
	})
	t.Run("nothing of the builds is left", func(t *testing.T) {
		for _, pattern := range []string{"*/build", "go-*/src", "go-*/cache"} {
			if left, _ := filepath.Glob(filepath.Join(envs, pattern)); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		}
		if info, err := os.Stat(cmd.Path); err != nil || info.Mode().Perm() != 0o555 {
			t.Errorf("%v, %v", info, err)
		}
	})
}

func TestGoCodeThatIsRefused(t *testing.T) {
	set := requireGo(t)
	for name, c := range map[string]struct {
		code, main, words string
	}{
		"no such function": {textFile(t, "package main\nfunc Other() {}\n"), "main", "does not have a function named 'Main'; it has Other."},
		"not main":         {textFile(t, "package action\n"), "main", "package main"},
		"not Go":           {textFile(t, "def main(a): pass\n"), "main", "package main"},
		"no name":          {textFile(t, goAction), "a b", "cannot be the name"},
		"too deep":         {zipFile(t, entry{"x/go.mod", "", 0}, entry{"x/main.go", goAction, 0}), "main", `but "x/go.mod": pack what is in the directory "x"`},
		"replace":          {zipFile(t, entry{"main.go", goAction, 0}, entry{"go.mod", "module m\nreplace a => ./../../x\n", 0}), "main", "must stay inside"},
		"absolute replace": {zipFile(t, entry{"main.go", goAction, 0}, entry{"go.mod", "module m\nreplace a => \"/etc\"\n", 0}), "main", "must stay inside"},
	} {
		t.Run(name, func(t *testing.T) {
			src := source(t, kind.Go, c.code)
			src.Main = c.main
			_, err := set.Prepare(t.Context(), src, nil)
			wantFault(t, err, function.CodeInitFailed, c.words)
		})
	}
}
