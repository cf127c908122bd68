// Does what the suite asks for, as a plain ActionLoop. all.py and all.js do the same.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

type request struct {
	Do    string
	ID    string
	Give  json.RawMessage
	Text  string
	Want  int
	Why   string
	Lines int
	Code  int
	File  string
	Say   []struct {
		To    int
		Text  string
		Bytes []byte
	}
	Signal string
}

type object map[string]any

func main() {
	answers := os.NewFile(3, "answers")
	fmt.Fprintln(answers, `{"ok":true}`)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	current := map[string]bool{}
	for runs := 1; ; runs++ {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var body map[string]json.RawMessage
		if err := json.Unmarshal(line, &body); err != nil {
			fmt.Fprintf(answers, "{\"error\":%q}\n", "the body is no JSON object: "+err.Error())
			continue
		}
		setEnv(current, body)
		answer, _ := json.Marshal(do(body["value"], runs))
		answers.Write(append(answer, '\n'))
	}
}

// setEnv does what launchers of OpenWhisk do: an ActionLoop without one gets
// the fields of a run in its input only.
func setEnv(current map[string]bool, body map[string]json.RawMessage) {
	for name := range current {
		os.Unsetenv(name)
	}
	clear(current)
	for name, raw := range body {
		if name == "value" {
			continue
		}
		text := string(raw)
		json.Unmarshal(raw, &text)
		name = "__OW_" + strings.ToUpper(name)
		os.Setenv(name, text)
		current[name] = true
	}
}

func do(value json.RawMessage, runs int) any {
	var r request
	if err := json.Unmarshal(value, &r); err != nil || r.Do == "" {
		return object{"got": value}
	}
	switch r.Do {
	case "echo":
		return value
	case "answer":
		fmt.Println("log of", r.ID)
		return object{"id": r.ID, "activation": os.Getenv("__OW_ACTIVATION_ID")}
	case "give":
		return r.Give
	case "nothing":
		return nil
	case "count":
		return object{"runs": runs}
	case "env":
		return env()
	case "stdin": // it is the loop's own
		return object{"stdin": ""}
	case "measure":
		return object{"got": len(r.Text), "text": strings.Repeat("y", r.Want)}
	case "fail":
		fmt.Println("about to fail")
		fmt.Fprintln(os.Stderr, "Error: "+r.Why)
		return object{"error": "Error: " + r.Why}
	case "say":
		for _, s := range r.Say {
			stream := os.Stdout
			if s.To == 2 {
				stream = os.Stderr
			}
			io.WriteString(stream, s.Text)
			stream.Write(s.Bytes)
		}
		return object{"said": len(r.Say)}
	case "flood":
		for i := range r.Lines {
			fmt.Printf("%07d%s\n", i, strings.Repeat("x", 92))
		}
		return object{"lines": r.Lines}
	case "child":
		fmt.Println("before")
		c := exec.Command("sh", "-c", "echo child; echo child error >&2")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		c.Run()
		fmt.Println("after")
		return object{"child": true}
	case "late":
		go late(r.File)
		return object{"late": true}
	case "exit":
		fmt.Println("last words")
		os.Exit(r.Code)
	case "signal":
		fmt.Println("last words")
		syscall.Kill(os.Getpid(), map[string]syscall.Signal{"SIGKILL": syscall.SIGKILL, "SIGTERM": syscall.SIGTERM}[r.Signal])
		time.Sleep(time.Hour)
	case "loop":
		fmt.Println("looping")
		for {
		}
	case "wait":
		return wait(r.File)
	}
	panic("what is " + r.Do + "?")
}

func env() any {
	if err := os.WriteFile(filepath.Join(os.Getenv("TMPDIR"), "probe"), []byte("written"), 0o600); err != nil {
		return object{"error": err.Error()}
	}
	all := map[string]string{}
	for _, v := range os.Environ() {
		name, text, _ := strings.Cut(v, "=")
		all[name] = text
	}
	dir, _ := os.Getwd()
	_, err := os.Stat(filepath.Join(dir, "exec"))
	return object{"env": all, "cwd": dir, "home": err == nil}
}

func late(file string) {
	for {
		if _, err := os.Stat(file); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	fmt.Println("late")
	os.Remove(file)
}

// wait says in a file that it has begun, and how it ended.
func wait(file string) any {
	cut := make(chan os.Signal, 1)
	signal.Notify(cut, os.Interrupt)
	note(file, "begun")
	<-cut
	note(file, "cut")
	return object{"error": "cut"}
}

func note(file, text string) {
	os.WriteFile(file+".new", []byte(text), 0o644)
	os.Rename(file+".new", file)
}
