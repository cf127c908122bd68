package runtime

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// An answer is what the platform gets.
type answer struct {
	status int
	body   []byte
}

// okAnswer is OpenWhisk's answer to a good /init.
const okAnswer = `{"ok":true}`

// errorAnswer is an answer with text for its error, which OpenWhisk shows to
// the function's owner.
func errorAnswer(status int, text string) answer {
	body, _ := json.Marshal(map[string]string{"error": text}) // strings always can
	return answer{status, body}
}

func answerError(w http.ResponseWriter, status int, text string) {
	send(w, errorAnswer(status, text))
}

// send writes the answer. OpenWhisk takes no answer without a Content-Length.
func send(w http.ResponseWriter, a answer) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	w.WriteHeader(a.status)
	w.Write(a.body) // the platform has left if this fails
}

var jsonType = []string{"application/json"}

// setTimes tells where a run's time went, as Server-Timing, in milliseconds.
func setTimes(h http.Header, s *function.Summary) {
	line := make([]byte, 0, 128)
	for i, st := range s.Stations {
		if i > 0 {
			line = append(line, ", "...)
		}
		line = appendTime(line, st.Name, st.Micros)
	}
	h["Server-Timing"] = []string{string(line)}
	if s.Server != "" {
		h["Whiskaway-Server"] = []string{s.Server}
	}
	if s.Cold {
		h["Whiskaway-Cold"] = []string{"true"}
	}
}

// setInitTime tells how long an init took.
func setInitTime(h http.Header, took time.Duration) {
	h["Server-Timing"] = []string{string(appendTime(nil, "init", took.Microseconds()))}
}

// appendTime appends "name;dur=1.234".
func appendTime(line []byte, name string, micros int64) []byte {
	line = append(line, name...)
	line = append(line, ";dur="...)
	micros = max(micros, 0)
	line = strconv.AppendInt(line, micros/1000, 10)
	rest := micros % 1000
	return append(line, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}
