package main

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The separate server's name and label.
const (
	serverName  = "llm-box"
	serverLabel = "llm"
)

// An action is what the REST API takes to create one.
type action struct {
	Exec   execution `json:"exec"`
	Limits limits    `json:"limits"`
}

type execution struct {
	Kind string `json:"kind"`
	Code string `json:"code"` // text, or a zip in base64
	Main string `json:"main"`
}

type limits struct {
	Timeout int64 `json:"timeout"` // milliseconds
}

// An example is one of the functions, the calls made of it, and what must come back.
type example struct {
	name, kind, main string
	files            []string // relative to the examples; several make a zip
	limit            time.Duration
	needs            []need
	server           string // where it must run; empty: not on the separate server
	slow             string // what its first call takes its time for
	calls            []map[string]any
	answer           func(args map[string]any, result json.RawMessage) (string, error) // checks it, and returns what to show
}

func examples() []example {
	ada, grace := map[string]any{"name": "Ada"}, map[string]any{"name": "Grace"}
	return []example{
		{name: "hello", kind: "python:3", main: "main", files: []string{"hello/hello.py"}, limit: time.Minute,
			needs: []need{needPython}, calls: []map[string]any{ada, grace}, answer: greeting},
		{name: "hello-js", kind: "nodejs:20", main: "main@" + serverLabel, files: []string{"hello-js/hello.js"}, limit: time.Minute,
			needs: []need{needNode}, server: serverName, calls: []map[string]any{ada, grace}, answer: greeting},
		{name: "ask", kind: "python:3", main: "main@" + serverLabel, files: []string{"ask/__main__.py", "ask/requirements.txt"},
			limit: 5 * time.Minute, needs: []need{needPython, needVenv}, server: serverName,
			slow:  "starting ask (the first time it downloads 130 MB of packages)",
			calls: []map[string]any{{"prompt": "Why is the sky blue?"}, {"prompt": "What is photosynthesis?"}}, answer: modelAnswer},
	}
}

// action reads the function's files from dir.
func (e example) action(dir string) (action, error) {
	code, err := readCode(dir, e.files)
	if err != nil {
		return action{}, fmt.Errorf("reading the code of %s: %w; run the demo from the repository's root, or with `make demo`", e.name, err)
	}
	return action{Exec: execution{Kind: e.kind, Code: code, Main: e.main}, Limits: limits{Timeout: e.limit.Milliseconds()}}, nil
}

// readCode returns one file's text, or a zip of several in base64. The same
// files make the same zip, so that what a server built for it serves again.
func readCode(dir string, files []string) (string, error) {
	var buf bytes.Buffer
	archive := zip.NewWriter(&buf)
	for _, name := range files {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return "", err
		}
		if len(files) == 1 {
			return string(b), nil
		}
		w, err := archive.Create(filepath.Base(name))
		if err == nil {
			_, err = w.Write(b)
		}
		if err != nil {
			return "", err
		}
	}
	if err := archive.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(buf.Bytes()), nil
}

// greeting checks that the function greeted whom it was told to.
func greeting(args map[string]any, result json.RawMessage) (string, error) {
	var r struct {
		Greeting string `json:"greeting"`
	}
	if err := json.Unmarshal(result, &r); err != nil {
		return "", fmt.Errorf("its result %s: %w", result, err)
	}
	if want := fmt.Sprintf("Hello, %s!", args["name"]); r.Greeting != want {
		return "", fmt.Errorf("it answered %s, not %q", result, want)
	}
	return string(result), nil
}

// modelAnswer checks that the model said something.
func modelAnswer(_ map[string]any, result json.RawMessage) (string, error) {
	var r struct {
		Answer string  `json:"answer"`
		Tokens int     `json:"tokens"`
		Speed  float64 `json:"tokens_per_second"`
		Device string  `json:"device"`
	}
	if err := json.Unmarshal(result, &r); err != nil {
		return "", fmt.Errorf("its result %s: %w", result, err)
	}
	if strings.TrimSpace(r.Answer) == "" {
		return "", errors.New("the model's answer is empty")
	}
	return fmt.Sprintf("%s\n(%d tokens, %.0f a second, on the %s)", wrap(r.Answer, width-4), r.Tokens, r.Speed, r.Device), nil
}
