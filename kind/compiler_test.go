package kind_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/kind"
)

// echoCompiler makes an ActionLoop of any text: it answers with the text.
const echoCompiler = `#!/bin/sh
echo "compiling $1 in $(pwd)"
grep -q fails "$2"/* && exit 1
grep -q nothing "$2"/* && exit 0
printf '#!/bin/sh\necho %s >&3\nwhile read -r line; do head -n 1 "%s/"* >&3; done\n' "'"'{"ok":true}'"'" "$2" > "$3/exec"
`

func echoSet(t *testing.T) *kind.Set {
	t.Helper()
	script := filepath.Join(t.TempDir(), "compile")
	if err := os.WriteFile(script, []byte(echoCompiler), 0o755); err != nil {
		t.Fatal(err)
	}
	return discover(t, kind.Options{Compilers: []string{"echo:1=" + script}})
}

func TestCompilerScripts(t *testing.T) {
	set, envs := echoSet(t), newEnvs(t)
	compiled := 0
	log := func(line string) {
		if strings.HasPrefix(line, "compiling main in ") {
			compiled++
		}
	}
	cmd := prepareIn(t, set, envs, source(t, "echo:default", textFile(t, "[1]\n")), log)
	l := startLoop(t, cmd)
	if got := l.run("{}") + l.run("{}"); got != "[1][1]" || !cmd.MayNotAck {
		t.Errorf("got %s", got)
	}
	if again := prepareIn(t, set, envs, source(t, "echo:1", textFile(t, "[1]\n")), log); again.Path != cmd.Path || compiled != 1 {
		t.Errorf("%s, then %s, compiled %d times", cmd.Path, again.Path, compiled)
	}
	zipped := prepareIn(t, set, envs, source(t, "echo:1", zipFile(t, entry{"a.txt", "[2]\n", 0})), log)
	if got := startLoop(t, zipped).run("{}"); got != "[2]" {
		t.Errorf("of a zip: %s", got)
	}
}

func TestCompilerScriptsThatFail(t *testing.T) {
	set := echoSet(t)
	for code, words := range map[string]string{
		"fails\n":   "the code cannot be compiled: compiling main in",
		"nothing\n": "the compiler left no executable: compiling main in",
	} {
		src := source(t, "echo:1", textFile(t, code))
		_, err := set.Prepare(t.Context(), src, nil)
		wantFault(t, err, function.CodeInitFailed, words)
		if left, _ := filepath.Glob(filepath.Join(src.EnvsDir, "*")); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
	}
}

// Links that the code's own build leaves lead to nothing of ours: their targets are neither read nor changed.
func TestCompilerScriptsThatLeaveLinks(t *testing.T) {
	mine := t.TempDir()
	for name, text := range map[string]string{"exec": "#!/bin/sh\n", "exec.env": "a secret"} {
		if err := os.WriteFile(filepath.Join(mine, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for build, words := range map[string]string{
		`echo '#!/bin/sh' > "$3/exec"; ln -s MINE/exec.env "$3/exec.env"`: "exec.env, but it is no small file",
		`rmdir "$3"; ln -s MINE "$3"`:                                     "the compiler left no executable",
		`ln -s MINE/exec "$3/exec"`:                                       "the compiler left no executable",
	} {
		script := filepath.Join(t.TempDir(), "compile")
		if err := os.WriteFile(script, []byte("#!/bin/sh\n"+strings.ReplaceAll(build, "MINE", mine)+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		set := discover(t, kind.Options{Proxy: kind.Proxy{Compiler: script, ExecutionEnv: "image:1"}})
		_, err := set.Prepare(t.Context(), source(t, "any:1", textFile(t, "text\n")), nil)
		wantFault(t, err, function.CodeInitFailed, words)
		if err != nil && strings.Contains(err.Error(), "a secret") {
			t.Errorf("%s: %v", build, err)
		}
		if info, err := os.Stat(filepath.Join(mine, "exec")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", build, info, err)
		}
	}
}
