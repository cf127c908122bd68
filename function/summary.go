package function

import "time"

// An Outcome says how a run that may have started ended.
type Outcome string

// The outcomes.
const (
	OutcomeOK        Outcome = "ok"        // the function answered: Result holds its answer
	OutcomeCrashed   Outcome = "crashed"   // its worker ended without an answer
	OutcomeTimeout   Outcome = "timeout"   // it was ended at its time limit
	OutcomeCancelled Outcome = "cancelled" // the caller left
	OutcomeTooLarge  Outcome = "too_large" // its answer was above the limit
	OutcomeLost      Outcome = "lost"      // the host was lost: it may have run
)

// A Summary is the end of a run: what frame 0 carries.
type Summary struct {
	Outcome Outcome `json:"outcome"`
	// Error says for a person what happened; empty when the outcome is ok.
	Error string `json:"error,omitempty"`
	// Stream says that Result frames are the items of a streamed result.
	Stream bool `json:"stream,omitempty"`
	// Cold says that the run had to wait for a worker's start.
	Cold bool `json:"cold,omitempty"`
	// Memory is the worker's peak resident memory in bytes; 0: not known.
	Memory int64 `json:"memory,omitempty"`
	// Server is the name of the server that ran it.
	Server string `json:"server,omitempty"`
	// Stations is where the time went, innermost first: each station that the
	// run passed adds itself, with all that lay behind it.
	Stations []Station `json:"stations,omitempty"`
}

// A Station is one place that a run passed, and the time it took there, with
// everything behind that place included.
type Station struct {
	Name string `json:"name"` // "function", "server", "balancer", "runtime"
	// Micros is the time in microseconds, by that machine's own clock.
	Micros int64 `json:"us"`
}

// Passed adds a station that took d.
func (s *Summary) Passed(name string, d time.Duration) {
	if s.Stations == nil {
		s.Stations = make([]Station, 0, 4) // nobody passes more
	}
	s.Stations = append(s.Stations, Station{Name: name, Micros: d.Microseconds()})
}

// Took returns the time at the named station, and whether the run passed it.
func (s *Summary) Took(name string) (time.Duration, bool) {
	for _, st := range s.Stations {
		if st.Name == name {
			return time.Duration(st.Micros) * time.Microsecond, true
		}
	}
	return 0, false
}

// Lost returns the Summary of a run whose host was lost, for the reason why.
func Lost(why string) Summary { return Summary{Outcome: OutcomeLost, Error: why} }
