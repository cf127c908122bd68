package platform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary is also the fake runtime: with fakeVariable set it serves /init
// and /run, and does what the action's code says, word by word.
const fakeVariable = "WHISKAWAY_TEST_FAKE_RUNTIME"

func TestMain(m *testing.M) {
	if os.Getenv(fakeVariable) != "" {
		runFake()
		return
	}
	os.Exit(m.Run())
}

// runFake is a runtime that exits when its lifeline ends.
func runFake() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ready := fileOf("WHISKAWAY_READY_FD")
	fmt.Fprintf(ready, "%s\n", l.Addr())
	ready.Close()
	go func() {
		io.Copy(io.Discard, fileOf("WHISKAWAY_LIFELINE_FD"))
		os.Exit(0)
	}()
	fmt.Println("fake starts")
	http.Serve(l, &fake{})
}

func fileOf(variable string) *os.File {
	fd, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		fmt.Fprintln(os.Stderr, variable, err)
		os.Exit(1)
	}
	return os.NewFile(uintptr(fd), variable)
}

// A fake is a runtime's state. Its runs may overlap.
type fake struct {
	mu    sync.Mutex // guards runs
	init  json.RawMessage // the body's value
	words []string        // of the action's code
	runs  int
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/init" {
		f.serveInit(w, body)
		return
	}
	f.mu.Lock()
	f.runs++
	f.mu.Unlock()
	f.serveRun(w, body)
}

func (f *fake) serveInit(w http.ResponseWriter, body []byte) {
	var msg struct {
		Value json.RawMessage `json:"value"`
	}
	var value struct {
		Code string `json:"code"`
	}
	json.Unmarshal(body, &msg)
	json.Unmarshal(msg.Value, &value)
	f.init, f.words = msg.Value, strings.Fields(value.Code)
	if arg, ok := f.word("init-sleep"); ok {
		sleep(arg)
	}
	if _, ok := f.word("init-crash"); ok {
		os.Exit(3)
	}
	if _, ok := f.word("init-fail"); ok {
		fmt.Println("init went wrong")
		guards()
		answerWith(w, http.StatusBadGateway, `{"error":"it will not start"}`)
		return
	}
	answerWith(w, http.StatusOK, `{"ok":true}`)
}

func (f *fake) word(name string) (arg string, ok bool) {
	for _, w := range f.words {
		if word, arg, _ := strings.Cut(w, "="); word == name {
			return arg, true
		}
	}
	return "", false
}

func (f *fake) serveRun(w http.ResponseWriter, body []byte) {
	if file, ok := f.word("refuse-once"); ok && os.Remove(file) == nil {
		answerWith(w, http.StatusServiceUnavailable, `{"error":"not me"}`)
		return
	}
	if _, ok := f.word("refuse"); ok {
		answerWith(w, http.StatusServiceUnavailable, `{"error":"not me"}`)
		return
	}
	if file, ok := f.word("count"); ok {
		appendLine(file)
	}
	if arg, ok := f.word("log"); ok {
		n, _ := strconv.Atoi(arg)
		for i := range n {
			fmt.Printf("out %d\n", i)
			fmt.Fprintf(os.Stderr, "err %d\n", i)
		}
	}
	if arg, ok := f.word("long-line"); ok {
		n, _ := strconv.Atoi(arg)
		fmt.Println(strings.Repeat("x", n))
	}
	if arg, ok := f.word("sleep"); ok {
		sleep(arg)
	}
	if file, ok := f.word("until"); ok {
		for exists(file) {
			time.Sleep(time.Millisecond)
		}
	}
	if _, ok := f.word("crash"); ok {
		fmt.Println("last words")
		os.Exit(3)
	}
	if _, ok := f.word("partial"); ok {
		fmt.Print("no newline")
	}
	if _, ok := f.word("no-guard"); !ok {
		guards()
	}
	f.answer(w, body)
}

func (f *fake) answer(w http.ResponseWriter, body []byte) {
	if arg, ok := f.word("big"); ok {
		n, _ := strconv.Atoi(arg)
		answerWith(w, http.StatusOK, `{"big":"`+strings.Repeat("y", n)+`"}`)
		return
	}
	if _, ok := f.word("chunked"); ok {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		io.WriteString(w, `{"a":1}`)
		return
	}
	if arg, ok := f.word("status"); ok {
		code, _ := strconv.Atoi(arg)
		answerWith(w, code, `{"error":"status `+arg+`"}`)
		return
	}
	if arg, ok := f.word("answer"); ok {
		answerWith(w, http.StatusOK, arg)
		return
	}
	if _, ok := f.word("no-content"); ok {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if _, ok := f.word("timing"); ok {
		h := w.Header()
		h.Set("Server-Timing", "function;dur=1.2, server;dur=2.0, runtime;dur=3.1")
		h.Set("Whiskaway-Server", "box")
		h.Set("Whiskaway-Cold", "true")
	}
	if _, ok := f.word("value"); ok {
		answerWith(w, http.StatusOK, string(valueOf(body)))
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	answerWith(w, http.StatusOK, fmt.Sprintf(`{"run":%s,"init":%s,"pid":%d,"runs":%d,"kind":%q,"apihost":%q,"concurrent":%q}`,
		bytes.TrimSpace(body), f.init, os.Getpid(), f.runs, os.Getenv("WHISKAWAY_KIND"), os.Getenv("__OW_API_HOST"), os.Getenv("__OW_ALLOW_CONCURRENT")))
}

func valueOf(body []byte) json.RawMessage {
	var msg struct {
		Value json.RawMessage `json:"value"`
	}
	json.Unmarshal(body, &msg)
	return msg.Value
}

func guards() {
	fmt.Println("XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX")
	fmt.Fprintln(os.Stderr, "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX")
}

func answerWith(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func sleep(ms string) {
	n, _ := strconv.Atoi(ms)
	time.Sleep(time.Duration(n) * time.Millisecond)
}

func appendLine(file string) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		fmt.Fprintln(f, os.Getpid())
		f.Close()
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
