package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ownScript starts servers as an operator's script might, and notes its calls.
const ownScript = `#!/bin/sh
cd %[1]s
echo "$*" >>calls
case $1 in
start)
	i=0
	while [ $i -lt "$3" ]; do
		i=$((i + 1)) name=box-$$-$i
		mkdir $name
		WHISKAWAY_TOKEN_FILE=$WHISKAWAY_JOIN_TOKEN_FILE setsid %[2]s server --balancer "$WHISKAWAY_BALANCER" --name $name \
			--label "$2" --share %[3]s --data %[1]s/$name/data >$name/log 2>&1 </dev/null &
		echo $! >$name/pid
	done ;;
stop)
	pid=$(cat "$2/pid")
	kill "$pid"
	while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
	rm "$2/pid" ;;
list)
	for f in */pid; do
		[ -e "$f" ] && echo "{\"name\": \"${f%%/pid}\", \"label\": \"box\"}"
	done
	exit 0 ;;
esac
`

// A script starts a server at the first call, and is told to stop it when nobody needs it, also
// by a balancer that has come back.
func TestScaleByScript(t *testing.T) {
	dir, share := t.TempDir(), shared(t)
	path := filepath.Join(dir, "box.sh")
	if err := os.WriteFile(path, fmt.Appendf(nil, ownScript, dir, binary, share), 0o755); err != nil {
		t.Fatal(err)
	}
	s := newScaled(t, "--scale", "box=exec:"+path, "--scale-idle", "3s", "--scale-max", "2")
	s.share = share
	s.goOn()
	id, claim := s.mustInit("box")
	if err := s.run(id, claim); err != nil {
		t.Fatal(err)
	}
	before := servers(dir)
	s.balancer.kill()
	s.start()
	id, claim = s.mustInit("box")
	if err := s.run(id, claim); err != nil {
		t.Fatal(err)
	}
	if now := servers(dir); len(before) != 1 || len(now) != 1 || now[0] != before[0] {
		t.Errorf("before the balancer was killed: %v, after: %v", before, now)
	}
	if err := s.client.Stop(t.Context(), id, claim); err != nil {
		t.Fatal(err)
	}
	awaitServers(t, dir, 0)
	calls, _ := os.ReadFile(filepath.Join(dir, "calls"))
	if text := string(calls); strings.Count(text, "start box 1") != 1 || strings.Count(text, "stop box-") != 1 {
		t.Errorf("the script was called so:\n%s", text)
	}
	if strings.Contains(string(calls)+s.balancer.log(), strings.Split(readToken(t, s.home, "join"), "~")[0]) {
		t.Error("the token is on a command line, or in the log")
	}
}
