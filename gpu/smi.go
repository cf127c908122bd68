package gpu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// noDevices is what nvidia-smi says, with an exit code of its own, when there is
// a driver but no GPU.
const noDevices = "No devices were found"

// noProcesses is what some versions say instead of nothing.
const noProcesses = "No running processes found"

// usagesKept is how long an answer to which processes there are is good for: each
// takes a process of its own.
const usagesKept = 5 * time.Second

// An smi asks nvidia-smi: a process that stays and prints the GPUs again and again,
// and one for each other question.
type smi struct {
	options Options
	line    *line
	loop    *smiLoop

	mu       sync.Mutex
	usages   []Usage
	usagesAt time.Time
}

func newSMI(o Options) *smi { return &smi{options: o, line: newLine(o.answerLimit)} }

// openSMI asks once for the GPUs, so that an error comes now, and leaves a process that
// goes on to tell.
func openSMI(ctx context.Context, o Options) (Source, error) {
	s := newSMI(o)
	devices, err := s.list(ctx)
	if len(devices) == 0 {
		return nil, cmp.Or(err, error(absence("nvidia-smi lists no GPU")))
	}
	s.loop = startSMILoop(o)
	return s, nil
}

func (s *smi) Name() string { return "nvidia-smi" }

func (s *smi) Close() error {
	if err := errors.Join(s.loop.close(), s.line.close()); err != nil {
		return fmt.Errorf("ending nvidia-smi: %w", err)
	}
	return nil
}

// Devices waits for the next that the process says. Where that does not come, another is asked:
// it may be that what the first one prints is kept back on the way.
func (s *smi) Devices(ctx context.Context) ([]Device, error) {
	devices, err := s.loop.next(ctx)
	if errors.Is(err, errSilent) {
		return s.list(ctx)
	}
	return devices, err
}

// list asks for the GPUs. What else is printed, as about a GPU that is lost, is
// the error.
func (s *smi) list(ctx context.Context) ([]Device, error) {
	text, err := s.ask(ctx, "--query-gpu="+deviceFields, format)
	if err != nil && text == "" {
		return nil, fmt.Errorf("asking nvidia-smi for the GPUs: %w", err)
	}
	var devices []Device
	var besides error
	for text := range nonEmpty(text) {
		d, _, err := parseDevice(text)
		if err != nil {
			besides = cmp.Or(besides, err) // the first says enough
			continue
		}
		devices = append(devices, d)
	}
	return devices, errors.Join(err, besides)
}

func (s *smi) Processes(ctx context.Context) ([]Usage, error) {
	s.mu.Lock()
	usages, at := s.usages, s.usagesAt
	s.mu.Unlock()
	if !at.IsZero() && time.Since(at) < usagesKept {
		return usages, nil
	}
	usages, err := s.listUsages(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking nvidia-smi for the processes: %w", err)
	}
	s.mu.Lock()
	s.usages, s.usagesAt = usages, time.Now()
	s.mu.Unlock()
	return usages, nil
}

func (s *smi) listUsages(ctx context.Context) ([]Usage, error) {
	text, err := s.ask(ctx, "--query-compute-apps="+usageFields, format)
	if err != nil {
		return nil, fmt.Errorf("%w: %.200s", err, text)
	}
	var usages []Usage
	for text := range nonEmpty(text) {
		if text == noProcesses {
			continue
		}
		u, known, err := parseUsage(text)
		if err != nil {
			return nil, err
		}
		if known {
			usages = append(usages, u)
		}
	}
	return usages, nil
}

// nonEmpty goes over the lines of text.
func nonEmpty(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && !yield(line) {
				return
			}
		}
	}
}

// ask runs nvidia-smi once and returns what it prints, also when it fails.
func (s *smi) ask(ctx context.Context, args ...string) (string, error) {
	path, err := exec.LookPath(s.options.NVIDIASMI)
	if err != nil {
		return "", absence("there is no program " + s.options.NVIDIASMI)
	}
	return call(ctx, s.line, func(ctx context.Context) (string, error) {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.WaitDelay = time.Second // for a child of its own that keeps its output open
		var printed words
		cmd.Stdout, cmd.Stderr = &printed, &printed
		err := cmd.Run()
		text := strings.TrimSpace(string(printed.text))
		switch {
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case strings.Contains(text, noDevices):
			return "", absence("nvidia-smi says: " + noDevices)
		case printed.tooMany:
			return "", fmt.Errorf("nvidia-smi printed more than %d KB", maxWords>>10)
		case err != nil:
			return text, fmt.Errorf("nvidia-smi ended with %w", err)
		}
		return text, nil
	})
}

// maxWords is how much of what nvidia-smi prints is read: a line for each GPU or
// process has some 100 bytes.
const maxWords = 256 << 10

// words keep what a program prints, up to maxWords.
type words struct {
	text    []byte
	tooMany bool
}

func (w *words) Write(p []byte) (int, error) {
	if len(w.text)+len(p) > maxWords {
		w.tooMany = true
		return 0, io.ErrShortWrite // so that it is read no further
	}
	w.text = append(w.text, p...)
	return len(p), nil
}
