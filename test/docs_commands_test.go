package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Who types what README.md says of the platform, and then docs/alarms.md, command by command, gets no
// error. wsk itself cannot be had here: what it would send is sent in its place.
func TestTheCommandsOfTheReadmeAndTheAlarmsPage(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the README needs curl")
	}
	home := t.TempDir()
	p := &typist{
		home:       home,
		standalone: startStandalone(t, filepath.Join(home, ".local/state/whiskaway/standalone")),
	}
	if err := os.Mkdir(filepath.Join(home, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(home, "bin/whiskaway")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(home, "examples"), os.DirFS("../examples")); err != nil {
		t.Fatal(err)
	}
	_, readme, _ := strings.Cut(readFile(t, "../README.md"), "## The platform on this machine\n")
	readme, _, _ = strings.Cut(readme, "\n## ")
	p.typePage(readme)
	p.typePage(readFile(t, "../docs/alarms.md"))
	if p.commands < 25 {
		t.Errorf("only %d commands were found", p.commands)
	}
}

// A typist types commands of a page into a shell.
type typist struct {
	*standalone
	home     string
	commands int
}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// typePage types all that the page has, but what begins a platform: it is there.
func (p *typist) typePage(page string) {
	for _, block := range shellBlock.FindAllStringSubmatch(page, -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", "")) {
			if !strings.HasPrefix(line, "make ") && !strings.HasPrefix(line, "bin/whiskaway standalone") {
				p.typeLine(strings.TrimSpace(line))
			}
		}
	}
}

// typeLine types one line. wsk and curl are functions there: the one tells its arguments, the other fails where the
// platform refuses.
func (p *typist) typeLine(line string) {
	p.t.Helper()
	p.commands++
	cmd := exec.Command("sh", "-c", `. ~/.local/state/whiskaway/standalone/wskprops
		wsk() { printf '%s\0' "$@"; }
		curl() { command curl -sS -f "$@"; }
		`+line)
	cmd.Dir, cmd.Env = p.home, append(os.Environ(), "HOME="+p.home, "XDG_STATE_HOME=")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		p.t.Errorf("%s\n%v: %s%s", line, err, out, stderr.String())
	}
	if strings.HasPrefix(line, "wsk ") {
		p.wsk(line, strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"))
	}
}

// wskWords are the arguments of wsk.
type wskWords struct {
	names  []string          // "action", "create", "hello", "hello.py"
	flags  map[string]string // "--web": "true"
	params map[string]any
}

func parseWsk(args []string) wskWords {
	w := wskWords{flags: map[string]string{}, params: map[string]any{}}
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--result":
			w.flags[arg] = "true"
		case arg == "--param":
			var value any = args[i+2]
			json.Unmarshal([]byte(args[i+2]), &value) // what is no JSON is text
			w.params[args[i+1]] = value
			i += 2
		case strings.HasPrefix(arg, "--"):
			w.flags[arg] = args[i+1]
			i++
		default:
			w.names = append(w.names, arg)
		}
	}
	return w
}

// wsk asks the platform as wsk does with these arguments.
func (p *typist) wsk(line string, args []string) {
	p.t.Helper()
	w := parseWsk(args)
	name := append(w.names, "", "")[2]
	switch strings.Join(w.names[:2], " ") {
	case "action create":
		p.send(line, "PUT", restNS+"actions/"+name+"?overwrite=false", p.wskAction(w))
	case "action update":
		p.send(line, "PUT", restNS+"actions/"+name+"?overwrite=true", p.wskAction(w))
	case "action invoke":
		path := restNS + "actions/" + name
		if rest, other := strings.CutPrefix(name, "/"); other {
			namespace, rest, _ := strings.Cut(rest, "/")
			path = "/namespaces/" + namespace + "/actions/" + rest
		}
		p.send(line, "POST", path+"?blocking=true&result=true", w.params)
	case "api create":
		p.mustCreateAPI(name, w.names[3], w.names[4], w.names[5], w.flags["--response-type"])
	case "trigger create":
		p.send(line, "PUT", restNS+"triggers/"+name+"?overwrite=false", map[string]any{"annotations": []any{map[string]any{"key": "feed", "value": w.flags["--feed"]}}})
		w.params["lifecycleEvent"], w.params["triggerName"], w.params["authKey"] = "CREATE", "/_/"+name, p.auth
		p.send(line, "POST", alarms+filepath.Base(w.flags["--feed"])+"?blocking=true", w.params)
	case "trigger delete":
		p.send(line, "POST", alarms+"alarm?blocking=true", map[string]any{"lifecycleEvent": "DELETE", "triggerName": "/_/" + name, "authKey": p.auth})
		p.send(line, "DELETE", restNS+"triggers/"+name, nil)
	case "rule create":
		p.send(line, "PUT", restNS+"rules/"+name+"?overwrite=false", map[string]any{"trigger": "/_/" + w.names[3], "action": "/_/" + w.names[4]})
	case "rule delete":
		p.send(line, "DELETE", restNS+"rules/"+name, nil)
	case "activation list":
		p.send(line, "GET", restNS+"activations?limit=30", nil)
	default:
		p.t.Fatalf("what does wsk do with %q?", line)
	}
}

// wskAction is the body that creates an action.
func (p *typist) wskAction(w wskWords) map[string]any {
	body := map[string]any{}
	if w.flags["--web"] == "true" {
		body["annotations"] = []any{map[string]any{"key": "web-export", "value": true}, map[string]any{"key": "final", "value": true}}
	}
	if parts, ok := w.flags["--sequence"]; ok {
		components := strings.Split(parts, ",")
		for i := range components {
			components[i] = "/_/" + components[i]
		}
		body["exec"] = map[string]any{"kind": "sequence", "components": components}
	} else {
		body["exec"] = map[string]any{"kind": "python:default", "code": readFile(p.t, filepath.Join(p.home, w.names[3]))}
	}
	return body
}

func (p *typist) send(line, method, path string, body map[string]any) {
	p.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	if status, answer := p.call(method, path, string(text)); status != 200 {
		p.t.Errorf("%s\n%s %s: %d %s", line, method, path, status, answer)
	}
}
