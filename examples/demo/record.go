package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A record is what the platform keeps of one activation, as far as we show it.
type record struct {
	ActivationID string       `json:"activationId"`
	Logs         []string     `json:"logs"`
	Annotations  []annotation `json:"annotations"`
	Response     struct {
		Status  string          `json:"status"`
		Success bool            `json:"success"`
		Result  json.RawMessage `json:"result"`
	} `json:"response"`
}

type annotation struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// A journey is Whiskaway's annotation of an activation: which server ran it,
// and how many milliseconds each station took with everything behind it.
type journey struct {
	Server   string             `json:"server"`
	Cold     bool               `json:"cold"`
	Stations map[string]float64 `json:"stations"`
	// Start is how long the function's start took, in milliseconds; 0: it was up.
	Start float64 `json:"-"`
}

var errNoJourney = errors.New("the activation has no annotation that says where its time went")

func (r record) journey() (journey, error) {
	var j journey
	raw := r.annotation("whiskaway")
	if raw == nil {
		return j, errNoJourney
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return j, fmt.Errorf("reading where the time went: %w", err)
	}
	if len(j.Stations) == 0 {
		return j, errNoJourney
	}
	if raw := r.annotation("initTime"); raw != nil {
		if err := json.Unmarshal(raw, &j.Start); err != nil {
			return j, fmt.Errorf("reading how long the start took: %w", err)
		}
	}
	return j, nil
}

func (r record) annotation(key string) json.RawMessage {
	for _, a := range r.Annotations {
		if a.Key == key {
			return a.Value
		}
	}
	return nil
}

// failure returns what went wrong in the activation, in the function's or the
// platform's own words.
func (r record) failure() error {
	if r.Response.Success {
		return nil
	}
	var result struct {
		Error json.RawMessage `json:"error"`
	}
	text := string(r.Response.Result)
	if json.Unmarshal(r.Response.Result, &result) == nil && result.Error != nil {
		text = string(result.Error)
		var words string
		if json.Unmarshal(result.Error, &words) == nil {
			text = words
		}
	}
	return fmt.Errorf("%s: %s", r.Response.Status, text)
}

// logLine leaves out the time that the platform puts before each line.
func logLine(line string) string {
	if _, rest, ok := strings.Cut(line, " "); ok && line[0] >= '0' && line[0] <= '9' {
		return strings.TrimSpace(rest)
	}
	return line
}
