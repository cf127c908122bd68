package strength

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// A Machine says what is to be measured.
type Machine struct {
	GPUs   []string // the UUIDs of those that may be measured now
	Driver string   // the GPU driver's version: another one may be faster
	Python string   // the interpreter by which GPUs are measured; empty: they are not
	Log    *slog.Logger
}

// Strengths are what was measured.
type Strengths struct {
	CPU  float64            // of one
	GPUs map[string]float64 // by UUID; who is missing could not be measured
	// Tried are the GPUs that were measured just now, or could not be: their memory may
	// take a moment to come back.
	Tried []string
}

// Of returns how strong the machine is: what dir has from an earlier start, as far as the
// processor, the GPUs and their driver are the same, and else what is measured now.
// What cannot be measured is logged, and missing.
func Of(ctx context.Context, dir string, m Machine) Strengths {
	kept := load(dir)
	now := notes{Version: version, CPU: cpuNote{Model: cpuModel()}, GPUs: map[string]gpuNote{}}
	if now.CPU.Strength = kept.CPU.Strength; kept.CPU.Model != now.CPU.Model || now.CPU.Strength <= 0 {
		now.CPU.Strength = CPU()
	}
	for uuid, note := range kept.GPUs { // also of those that are not to be measured now, because somebody uses them
		if note.Driver == m.Driver && note.Strength > 0 {
			now.GPUs[uuid] = note
		}
	}
	unknown := slices.DeleteFunc(slices.Clone(m.GPUs), func(uuid string) bool { return now.GPUs[uuid].Strength > 0 })
	maps.Copy(now.GPUs, m.measure(ctx, unknown))
	if err := now.save(dir); err != nil {
		m.Log.Warn("what was measured is not kept", "error", err)
	}
	s := now.strengths()
	s.Tried = unknown
	return s
}

// measure measures GPUs of which nothing is known.
func (m Machine) measure(ctx context.Context, uuids []string) map[string]gpuNote {
	if len(uuids) == 0 {
		return nil
	}
	if m.Python == "" {
		m.Log.Info("the GPUs' strength is not measured: that takes a Python")
		return nil
	}
	measured, err := GPUs(ctx, m.Python, uuids)
	if err != nil {
		m.Log.Warn("the strength of some GPU is not known", "error", err)
	}
	all := map[string]gpuNote{}
	for uuid, strength := range measured {
		all[uuid] = gpuNote{Driver: m.Driver, Strength: strength}
	}
	return all
}

// notes are what is kept between starts, as JSON.
type notes struct {
	Version int                `json:"version"`
	CPU     cpuNote            `json:"cpu"`
	GPUs    map[string]gpuNote `json:"gpus"`
}

// version is that of the measuring: after a change older notes mean something else.
const version = 1

type cpuNote struct {
	Model    string  `json:"model"`
	Strength float64 `json:"strength"`
}

type gpuNote struct {
	Driver   string  `json:"driver"`
	Strength float64 `json:"strength"`
}

func (n notes) strengths() Strengths {
	s := Strengths{CPU: n.CPU.Strength, GPUs: map[string]float64{}}
	for uuid, note := range n.GPUs {
		s.GPUs[uuid] = note.Strength
	}
	return s
}

func fileIn(dir string) string { return filepath.Join(dir, "strength.json") }

// load returns what is kept. A file that is missing or cannot be understood has nothing.
func load(dir string) notes {
	var n notes
	text, err := os.ReadFile(fileIn(dir))
	if err != nil || json.Unmarshal(text, &n) != nil || n.Version != version {
		return notes{}
	}
	return n
}

// save writes the notes, whole or not at all.
func (n notes) save(dir string) error {
	text, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("writing the strengths: %w", err)
	}
	old, err := os.ReadFile(fileIn(dir))
	if err == nil && string(old) == string(text) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(fileIn(dir)+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(fileIn(dir)+".new", fileIn(dir))
}
