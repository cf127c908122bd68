package invoker

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/platform/store"
)

// The headers by which a runtime of ours says where a run was and how long each
// station took.
const (
	headerTiming = "Server-Timing"
	headerServer = "Whiskaway-Server"
	headerCold   = "Whiskaway-Cold"
)

// A journey is the value of a record's annotation "whiskaway". The time of a
// station includes all that lies behind it; milliseconds.
type journey struct {
	Server   string             `json:"server,omitempty"`
	Cold     bool               `json:"cold"`
	Stations map[string]float64 `json:"stations"`
}

// journeyOf reads a runtime's headers; nil: it said nothing.
func journeyOf(h http.Header) *journey {
	timing := h.Values(headerTiming)
	if len(timing) == 0 {
		return nil
	}
	j := &journey{Server: h.Get(headerServer), Cold: h.Get(headerCold) == "true", Stations: map[string]float64{}}
	for _, list := range timing {
		for metric := range strings.SplitSeq(list, ",") {
			name, params, _ := strings.Cut(metric, ";")
			if ms, ok := duration(params); ok {
				j.Stations[strings.TrimSpace(name)] = ms
			}
		}
	}
	return j
}

// duration finds dur=… among a metric's parameters.
func duration(params string) (ms float64, ok bool) {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if name == "dur" {
			ms, err := strconv.ParseFloat(strings.Trim(value, `"`), 64)
			return ms, err == nil && ms >= 0 && ms < 1e12
		}
	}
	return 0, false
}

func (j *journey) add(name string, d time.Duration) {
	j.Stations[name] = float64(d.Microseconds()) / 1000
}

// AppendJSON implements store.JSONAppender; the stations are in the order of their names.
func (j *journey) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	if j.Server != "" {
		b = store.AppendString(append(b, `"server":`...), j.Server)
		b = append(b, ',')
	}
	b = strconv.AppendBool(append(b, `"cold":`...), j.Cold)
	b = append(b, `,"stations":{`...)
	names := make([]string, 0, 16)
	for name := range j.Stations {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(store.AppendString(b, name), ':')
		b = strconv.AppendFloat(b, j.Stations[name], 'f', -1, 64)
	}
	return append(b, "}}"...)
}
