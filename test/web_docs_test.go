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

// Every command of docs/web-actions.md prints what the page says. wsk itself cannot be had
// here: what it would send is sent in its place.
func TestTheCommandsOfTheWebActionsPage(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the page needs curl")
	}
	page, err := os.ReadFile("../docs/web-actions.md")
	if err != nil {
		t.Fatal(err)
	}
	s := startStandalone(t, t.TempDir())
	files, commands := map[string]string{}, 0
	for _, m := range regexp.MustCompile("(?s)```(python|js|console)\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		language, text := m[1], m[2]
		if language != "console" {
			name, _, _ := strings.Cut(text, "\n")
			files[strings.TrimLeft(name, "#/ ")] = text
			continue
		}
		for _, part := range strings.Split("\n"+text, "\n$ ")[1:] {
			commands++
			command, want, _ := strings.Cut(part, "\n")
			want = strings.TrimSuffix(want, "\n")
			switch words := strings.Fields(command); {
			case strings.HasPrefix(command, "wsk action create "):
				s.asWskCreates(words[3], files[words[4]], filepath.Ext(words[4]), words[5:])
			case strings.HasPrefix(command, "wsk api create "):
				s.mustCreateAPI(words[3], words[4], words[5], words[6], words[8])
			default:
				cmd := exec.Command("sh", "-c", command)
				cmd.Env = append(os.Environ(), "APIHOST="+s.api, "AUTH="+s.auth)
				if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSuffix(string(out), "\n") != want {
					t.Errorf("%s\nprints %v\n%s\nwant\n%s", command, err, out, want)
				}
			}
		}
	}
	if len(files) != 4 || commands < 15 {
		t.Errorf("the page has %d functions and %d commands", len(files), commands)
	}
}

// asWskCreates puts an action with the annotations that wsk's flags mean.
func (s *standalone) asWskCreates(name, code, extension string, flags []string) {
	s.t.Helper()
	var annotations []map[string]any
	for i := 0; i < len(flags); i += 2 {
		switch flags[i] {
		case "--web":
			annotations = append(annotations, map[string]any{"key": "web-export", "value": true},
				map[string]any{"key": "raw-http", "value": flags[i+1] == "raw"}, map[string]any{"key": "final", "value": true})
		case "--web-secure":
			annotations = append(annotations, map[string]any{"key": "require-whisk-auth", "value": flags[i+1]})
		default:
			s.t.Fatalf("what does wsk do with %s?", flags[i])
		}
	}
	kind := map[string]string{".py": "python:3", ".js": "nodejs:20"}[extension]
	b, _ := json.Marshal(annotations)
	s.put(name, action{kind: kind, code: code, annotations: string(b)})
}
