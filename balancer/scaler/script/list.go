package script

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/balancer/scaler"
)

// A line is one of list's, as JSON.
type line struct {
	Server string       `json:"server"`
	Name   string       `json:"name"` // the same as server
	Label  string       `json:"label"`
	State  scaler.State `json:"state"`
	Since  time.Time    `json:"since"`
	Why    string       `json:"why"` // it has failed
}

// parseList reads what SCRIPT list has printed. Empty lines are none, and what
// begins with # is a comment.
func parseList(out []byte) ([]scaler.Machine, error) {
	var all []scaler.Machine
	for text := range bytes.Lines(out) {
		text = bytes.TrimSpace(text)
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		l, err := parseLine(text)
		if err != nil {
			return nil, fmt.Errorf("the script's list has the line %q: %w", text, err)
		}
		all = append(all, scaler.Machine{Server: l.Server, Label: l.Label, State: l.State, Since: l.Since, Why: l.Why})
	}
	return all, nil
}

func parseLine(text []byte) (l line, err error) {
	if text[0] == '{' {
		if err := json.Unmarshal(text, &l); err != nil {
			return l, fmt.Errorf("it is no JSON object as expected: %w", err)
		}
		if l.Server == "" {
			l.Server = l.Name
		}
	} else {
		l, err = parseWords(strings.Fields(string(text)))
	}
	switch {
	case err != nil:
		return l, err
	case l.Server == "":
		return l, fmt.Errorf("it names no server")
	}
	switch l.State {
	case "":
		l.State = scaler.Up
	case scaler.Starting, scaler.Up, scaler.Stopping, scaler.Failed:
	default:
		return l, fmt.Errorf("the state %q is none of starting, up, stopping and failed", l.State)
	}
	return l, nil
}

func parseWords(words []string) (l line, err error) {
	if len(words) > 3 {
		return l, fmt.Errorf("it has %d words; expected are a name, and perhaps a label and a state", len(words))
	}
	words = append(words, "", "")
	return line{Server: words[0], Label: words[1], State: scaler.State(words[2])}, nil
}
