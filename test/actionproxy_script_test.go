package test

import (
	"os"
	"path/filepath"
	"testing"
)

// compileScript is a compiler as OpenWhisk's runtime for Python has one, written anew from what that does: it moves
// the source to where the result has to be, writes a launcher of the ActionLoop beside it, and an exec that
// refuses another execution environment than the compiler's. What is wrong with the code it only prints.
const compileScript = `#!/usr/bin/env python3
import ast, os, shutil, sys

LAUNCHER = '''
import json, os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from main__ import MAIN as main
out = os.fdopen(3, "wb")
if os.environ.get("__OW_WAIT_FOR_ACK"):
    out.write(b'{"ok": true}\\n')
    out.flush()
while True:
    line = sys.stdin.readline()
    if not line:
        break
    args = json.loads(line)
    for key, value in args.items():
        if key != "value":
            os.environ["__OW_" + key.upper()] = str(value)
    try:
        result = main(args.get("value", {}))
    except Exception as e:
        print(e, file=sys.stderr)
        result = {"error": str(e)}
    out.write(json.dumps(result).encode() + b"\\n")
    sys.stdout.flush()
    sys.stderr.flush()
    out.flush()
'''

EXEC = '''#!/bin/bash
if [[ "$__OW_EXECUTION_ENV" == "" || "$(cat $0.env)" == "$__OW_EXECUTION_ENV" ]]
then cd "$(dirname $0)"
     exec python3 exec__.py "$@"
else echo "Execution Environment Mismatch"
     exit 1
fi
'''

main, source, target = sys.argv[1], os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3])
if os.path.exists(source + "/exec"):
    os.rename(source + "/exec", source + "/__main__.py")
os.rename(source + "/__main__.py", source + "/main__.py")
shutil.rmtree(target)
shutil.move(source, target)
with open(target + "/exec__.py", "w") as f:
    f.write(LAUNCHER.replace("MAIN", main))
with open(target + "/exec", "w") as f:
    f.write(EXEC)
os.chmod(target + "/exec", 0o755)
if os.environ.get("__OW_EXECUTION_ENV"):
    with open(target + "/exec.env", "w") as f:
        f.write(os.environ["__OW_EXECUTION_ENV"])
with open(target + "/built-with", "w") as f:
    f.write("\n".join(sorted(n for n in os.environ if n.startswith("__OW_") or n == "COLOR")))
try:
    with open(target + "/main__.py") as f:
        ast.parse(f.read())
except SyntaxError as e:
    sys.stderr.write(e.msg)
`

// proxyScript writes an executable script, and returns its path.
func proxyScript(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// loopScript is an ActionLoop that says who it is. It sends an ack where that is wanted.
const loopScript = `#!/bin/sh
[ -n "$NO_ACK" ] || echo '{"ok":true}' >&3
while read -r line; do echo "{\"from\":\"loop\",\"line\":$line}" >&3; done
`
